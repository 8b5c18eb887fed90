package testnet_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet"
)

// A test of an embedding program can ask whether a network of five would carry
// its load. This example is compiled, not run: it takes as long as it says.
func ExampleDemo() {
	o := testnet.DefaultDemoOptions()
	o.Nodes, o.For, o.Rate = 5, 30*time.Second, 100
	r, err := testnet.Demo(context.Background(), o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	for _, broken := range r.FailedExpectations {
		fmt.Println(broken)
	}
	fmt.Println("p99:", r.Tx.LatencyMS.P99, "ms")
}
