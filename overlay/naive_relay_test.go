package overlay_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TestNaiveRelayGivesTheSameChain compares nodes that put blocks together from parts with a
// chain that is handed every block whole, in order: the simplest relay there is.
func TestNaiveRelayGivesTheSameChain(t *testing.T) {
	g, c := testGenesis("naive relay"), newClock()
	a, b, d := start(t, g, c), start(t, g, c), start(t, g, c)
	b.join(a)
	d.join(b)
	meshed(t, a, b, d)
	naive := newChain(t, g, c)
	checker, err := validation.NewChecker(g, naive)
	require.NoError(t, err)

	nonces := map[string]uint64{}
	next := func(wallet string) *wire.Transaction {
		nonces[wallet]++
		return transfer(g, wallet, nonces[wallet]-1)
	}
	for round := range 5 {
		c.slot.Add(1)
		var block *wire.Block
		var coded *compact.Coded
		switch round {
		case 3: // much is lacking: in chunks
			block, coded = large(t, a, slotOf(c), 200<<10, nonces)
		default: // some are everywhere, some nowhere
			shared := []*wire.Transaction{next("wallet 0"), next("wallet 1")}
			a.submit(shared...)
			for _, n := range []*node{b, d} {
				eventually(t, func() bool { return n.chain.has(shared[0].ID()) && n.chain.has(shared[1].ID()) }, "transactions")
			}
			txs := shared
			for range round {
				txs = append(txs, next("wallet 2"))
			}
			block = seal(g, a.chain.Head(), slotOf(c), txs)
		}
		a.produceCoded(block, coded)
		for _, n := range []*node{b, d} {
			n.awaitBlock(block)
		}
		h, err := checker.Header(t.Context(), c.now(g), block.Header, validation.Gossip)
		require.NoError(t, err)
		parts := make([]validation.Part, len(block.Txs))
		for i, tx := range block.Txs {
			parts[i].Tx = tx
		}
		checked, err := checker.Block(h, parts)
		require.NoError(t, err)
		require.NoError(t, naive.AddBlock(t.Context(), checked, ""))
	}
	for _, n := range []*node{a, b, d} {
		require.Equal(t, naive.Head(), n.chain.Head())
		for height := uint64(1); height <= naive.Head().Height; height++ {
			want, _ := naive.BlockAt(height)
			got, _ := n.chain.BlockAt(height)
			require.Equal(t, want, got)
			ours, err := n.chain.Block(got)
			require.NoError(t, err)
			theirs, err := naive.Block(want)
			require.NoError(t, err)
			require.Equal(t, theirs.AppendTo(nil), ours.AppendTo(nil), "height %d", height)
		}
		for i := range 8 {
			who := address(key(fmt.Sprint("wallet ", i)))
			require.Equal(t, naive.l.Account(who), n.chain.l.Account(who))
		}
		require.Zero(t, n.seen.blamed())
	}
}
