package sim_test

import (
	"context"
	"fmt"
	"log"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
)

// A program that runs simulations calls sim.Child first thing in main; this
// package's tests do so in TestMain.
func ExampleRun() {
	s, err := scenario.Parse("pair.yaml", []byte(`
description: Two nodes that are 30 ms apart.
nodes: 2
network: {dials: 1, latency: {range: [30ms, 30ms]}, mbps: 50}
settle: 6s
drain: 1s
txs: {per_second: 10, size: 250, for: 2s}
`))
	if err != nil {
		log.Fatal(err)
	}
	r, err := sim.Run(context.Background(), s, sim.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("delivered: %.0f %%, half within %.0f ms, floor %.0f ms\n",
		100**r.Tx.DeliveryRatio, r.Tx.LatencyMS.P50, r.FloorMS.P50)
	// Output: delivered: 100 %, half within 30 ms, floor 30 ms
}
