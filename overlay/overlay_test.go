package overlay_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/wire"
)

func TestTransactionSpreads(t *testing.T) {
	g, c := testGenesis("spread"), newClock()
	nodes := []*node{start(t, g, c)}
	for range 4 {
		nodes = append(nodes, start(t, g, c, bootstrap(nodes[len(nodes)-1])))
	}
	meshed(t, nodes...) // a link that is not in the mesh yet would carry nothing
	var txs []*wire.Transaction
	for i := range uint64(20) {
		txs = append(txs, transfer(g, "wallet 0", i))
	}
	nodes[0].submit(txs...)
	for i, n := range nodes {
		eventually(t, func() bool { return n.chain.pooled() == len(txs) }, "node %d: all transactions", i)
	}
	for i, n := range nodes {
		require.Zero(t, n.seen.blamed(), "node %d blamed somebody", i)
	}
}
