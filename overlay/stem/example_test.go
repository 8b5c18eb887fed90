package stem_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/grapevine-p2p/grapevine/overlay/stem"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

// A transaction is handed to one relay, which keeps it to itself; so it is published when
// its embargo ends.
func Example() {
	r, err := stem.New(stem.DefaultConfig(), rand.New(rand.NewPCG(1, 2))) // a secret source, in earnest
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r.Peers(now, []peerscore.PeerID{"ann", "bob", "cid"})
	to, err := r.Own(now, maker()(1))
	fmt.Println(len(to), "relays, the second in case the first does not answer;", err)
	fmt.Println(len(r.Due(now)), "to publish at once")
	fmt.Println(len(r.Due(now.Add(10*time.Minute))), "to publish in the end")
	// Output:
	// 2 relays, the second in case the first does not answer; <nil>
	// 0 to publish at once
	// 1 to publish in the end
}
