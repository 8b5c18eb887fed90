package stock_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
	"github.com/grapevine-p2p/grapevine/testnet/stock"
)

// TestMain lets the test binary be the child of the runs that tests ask for.
func TestMain(m *testing.M) {
	sim.Child(stock.Relays())
	m.Run()
}

const network = `
description: A small network of nodes that run the library and nothing else.
relay: %s
nodes: 12
network: {dials: 4, latency: {range: [20ms, 80ms]}, mbps: 50}
settle: 8s
drain: 5s
%s
`

func load(t *testing.T, relay, more string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Parse("network.yaml", fmt.Appendf(nil, network, relay, more))
	require.NoError(t, err)
	return s
}

func TestWorldSimDeliversEverything(t *testing.T) {
	for _, relay := range slices.Sorted(maps.Keys(stock.Relays())) {
		t.Run(relay, func(t *testing.T) {
			r, err := sim.Run(t.Context(), load(t, relay, "txs: {per_second: 20, size: 250, for: 4s}\nblocks: {size: 128KiB, tx_size: 256, every: 2s, count: 2}"), sim.Options{})
			require.NoError(t, err)
			require.Equal(t, 1.0, *r.Tx.DeliveryRatio)
			require.Equal(t, 1.0, *r.Block.DeliveryRatio)
			require.Equal(t, 2, r.Block.Published)
			require.Empty(t, r.Notes, "no link is blind")
			require.Greater(t, *r.Tx.CopiesPerDelivery, 1.0)
			require.GreaterOrEqual(t, r.Tx.LatencyMS.P50, r.FloorMS.P50, "nothing is faster than the links")
			require.Zero(t, *r.Tx.Dropped)
		})
	}
}

// Nodes that are restarted come back: they dial again, and are dialled again. Stock repairs
// nothing, so that some of what was published just before may be lost to them. Who stayed away
// for good would lack a tenth of all and more.
func TestRestartedNodesComeBack(t *testing.T) {
	s := load(t, "stock", "txs: {per_second: 20, size: 250, for: 15s}\nchurn: [{from: 1s, to: 3s, share: 50%, down: 1s}]")
	r, err := sim.Run(t.Context(), s, sim.Options{})
	require.NoError(t, err)
	require.GreaterOrEqual(t, *r.Tx.DeliveryRatio, 0.98)
}

func ExampleTuned() {
	for _, p := range []stock.Profile{stock.Default(), stock.Tuned()} {
		fmt.Printf("%s: D=%d, a heartbeat every %v\n", p.Name, p.Params.D, p.Params.HeartbeatInterval)
	}
	// Output:
	// stock: D=6, a heartbeat every 1s
	// stock-tuned: D=8, a heartbeat every 700ms
}
