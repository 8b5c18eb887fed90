package sim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/wire"
)

func genesis(t *testing.T) *wire.Genesis {
	t.Helper()
	g, err := genesisOf(&scenario.Scenario{Seed: 1, Nodes: 2}, time.Unix(1_000_000, 0), nil)
	require.NoError(t, err)
	return g
}

// TestMintIsExact makes transactions of every size that load may have.
func TestMintIsExact(t *testing.T) {
	g := genesis(t)
	checker, err := (&stage{genesis: g}).checker()
	require.NoError(t, err)
	m := &mint{g.ID(), stream(1, streamTxs)}
	missed := 0
	for size := scenario.MinTx; size < 2000; size++ {
		tx := m.load(size)
		require.GreaterOrEqual(t, tx.Size(), size)
		require.LessOrEqual(t, tx.Size(), size+4)
		if tx.Size() != size {
			missed++
		}
		_, err := checker.Tx(t.Context(), time.Unix(1_000_000, 0), tx.Bytes())
		require.NoError(t, err)
	}
	require.Less(t, missed, 20, "sizes that no transaction has")
	require.Equal(t, 250, m.load(250).Size())
	require.Equal(t, wire.MaxTx, m.load(wire.MaxTx).Size())
	require.NotEqual(t, m.load(250).ID(), m.load(250).ID())

	again := &mint{g.ID(), stream(1, streamTxs)}
	require.Equal(t, (&mint{g.ID(), stream(1, streamTxs)}).load(250).ID(), again.load(250).ID(), "one seed, one load")
}

func TestFillerHasTheSizeOfTheBlock(t *testing.T) {
	g := genesis(t)
	checker, err := (&stage{genesis: g}).checker()
	require.NoError(t, err)
	m := &mint{g.ID(), stream(1, streamFill)}
	txs, err := m.filler(checker, scenario.Blocks{Size: 10_100, TxSize: 250})
	require.NoError(t, err)
	require.Len(t, txs, 40)
	for _, tx := range txs {
		require.Equal(t, 250, tx.Size())
		require.EqualValues(t, fillerExpiry, tx.Terms().ExpiresAt)
	}
	_, err = m.filler(checker, scenario.Blocks{Size: 1000, TxSize: 20})
	require.ErrorContains(t, err, "blocks.tx_size")
}

// TestSlots: a block with content in the first slot of the load and then every
// so often, nobody's turn after the last.
func TestSlots(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	s := &scenario.Scenario{Seed: 1, Nodes: 2, Blocks: scenario.Blocks{Size: 1000, TxSize: 250, Every: 6 * time.Second, Slot: 2 * time.Second, Count: 3}}
	_, key := identityOf(t, 1)
	g, err := genesisOf(s, start, key)
	require.NoError(t, err)
	slot, ok := g.SlotAt(uint64(start.UnixMilli()))
	require.True(t, ok)
	require.EqualValues(t, 1, slot)
	require.EqualValues(t, 3, slotsPerBlock(s.Blocks))
	require.Equal(t, g.ProducersAt(1), g.ProducersAt(7), "the third block is in slot 7")
	require.NotEqual(t, g.ProducersAt(7), g.ProducersAt(8))
}

func TestMainnetSizes(t *testing.T) {
	next, err := sizes(scenario.Txs{Shapes: scenario.ShapesMainnet})
	require.NoError(t, err)
	sum, n := 0, 422
	for range n {
		sum += next()
	}
	require.Equal(t, 413_467+39_520, sum, "one pass over both blocks")
}
