package local_test

import (
	"fmt"

	"github.com/grapevine-p2p/grapevine/testnet/local"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// A scenario is looked at before anything is started.
func ExampleCheck() {
	s, err := scenario.Load("local-smoke")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(local.Check(s))
	if err := s.Set("network.mbps=50"); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(local.Check(s))
	// Output:
	// <nil>
	// --set network.mbps=50: network.mbps is not to be had in world local: real sockets on loopback cannot be shaped without rights over the system; leave it out, or take world sim
}
