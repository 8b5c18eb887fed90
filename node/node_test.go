package node_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/wire"
)

func TestTransactionsReachEveryNodeAndBlock(t *testing.T) {
	producers := keys(2)
	g := genesisOf("three", producers...)
	a := start(t, configOf(t, newHome(t, g, producers[0]), vfs.NewMem()))
	cfg := configOf(t, newHome(t, g, producers[1]), vfs.NewMem())
	cfg.Bootstrap = []string{a.addr()}
	b := start(t, cfg)
	cfg = configOf(t, newHome(t, g, nil), vfs.NewMem())
	cfg.Bootstrap = []string{b.addr()}
	c := start(t, cfg)

	var txs []*wire.Transaction
	for i := range wallets {
		for nonce := range uint64(25) {
			tx := payment(g, i, nonce)
			txs = append(txs, tx)
			[]*running{a, b, c}[i%3].submit(tx)
		}
	}
	for _, n := range []*running{a, b, c} {
		eventually(t, "every transaction in a block, everywhere", func() bool { return n.settled(txs) })
	}
	eventually(t, "finality", func() bool {
		h, err := c.Backend().Head(t.Context())
		require.NoError(t, err)
		return h.Final.Height > 0
	})
	require.NoError(t, a.end())
	require.NoError(t, b.end())
	require.NoError(t, c.end())
}
