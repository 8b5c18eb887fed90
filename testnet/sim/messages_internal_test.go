package sim

import (
	"slices"
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
	txs, err := m.filler(checker, scenario.Blocks{Size: 10_100, TxSize: 250}, nil, 0)
	require.NoError(t, err)
	require.Len(t, txs, 40)
	for _, tx := range txs {
		require.Equal(t, 250, tx.Size())
		require.EqualValues(t, fillerExpiry, tx.Terms().ExpiresAt)
	}
	_, err = m.filler(checker, scenario.Blocks{Size: 1000, TxSize: 20}, nil, 0)
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

// TestCrowd: load like that of real blocks has their sizes, comes of few
// senders with nonces in order, pays, and is valid.
func TestCrowd(t *testing.T) {
	s := &scenario.Scenario{Seed: 1, Nodes: 3, Txs: scenario.Txs{PerSecond: 1, Shapes: scenario.ShapesMainnet, Origins: 2}}
	g, err := genesisOf(s, time.Unix(1_000_000, 0), nil)
	require.NoError(t, err)
	stage := &stage{s: s, genesis: g}
	for range s.Nodes {
		stage.places = append(stage.places, &place{honest: true, up: new(running)})
	}
	stage.places[0].up.Participant, stage.places[1].up.Participant = linked{}, linked{}
	load, err := stage.newSource(stream(1, streamTxs))
	require.NoError(t, err)
	checker, err := stage.checker()
	require.NoError(t, err)
	nonces, homes := make(map[wire.Address]uint64), make(map[wire.Address]*place)
	fees := make(map[uint64]bool)
	large := 0
	for range 800 {
		tx, at, undo := load.next()
		body, err := wire.DecodeTxBody(tx.Body())
		require.NoError(t, err)
		require.Equal(t, nonces[body.Sender], body.Nonce)
		if home, ok := homes[body.Sender]; ok {
			require.Same(t, home, at, "one place for one wallet")
		}
		homes[body.Sender] = at
		_, err = checker.Sound(tx.Bytes())
		require.NoError(t, err)
		if body.Nonce == 2 {
			undo() // it was refused: the next takes its nonce
			continue
		}
		nonces[body.Sender]++
		fees[body.Fee/uint64(tx.Size())] = true
		if tx.Size() > 4000 {
			large++
		}
	}
	require.NotZero(t, large)
	require.Greater(t, len(fees), 50, "rates of fees")
	require.Less(t, len(nonces), 513)

	stage.places[0].up, stage.places[1].up = nil, nil
	tx, _, _ := load.next()
	require.Nil(t, tx, "who is down sends nothing")
}

// Where transactions begin later than blocks, the content of blocks pays, comes of the same
// senders each time, and leaves no room for the transactions.
func TestBlocksAreTheSameUnderLoad(t *testing.T) {
	s := &scenario.Scenario{
		Seed: 1, Nodes: 2,
		Txs:    scenario.Txs{PerSecond: 1, Size: 250, From: 10 * time.Second, For: 10 * time.Second},
		Blocks: scenario.Blocks{Size: 1000, TxSize: 250, Every: 5 * time.Second, Count: 4},
	}
	g, err := genesisOf(s, time.Unix(1_000_000, 0), nil)
	require.NoError(t, err)
	require.EqualValues(t, 4, g.Limits.MaxBlockTxs)
	require.Len(t, g.Allocations, 4)
	checker, err := (&stage{s: s, genesis: g}).checker()
	require.NoError(t, err)
	m := &mint{g.ID(), stream(1, streamFill)}
	for k := range 2 {
		txs, err := m.filler(checker, s.Blocks, payersOf(s), k)
		require.NoError(t, err)
		require.Len(t, txs, 4)
		for _, tx := range txs {
			require.Equal(t, 250, tx.Tx().Size())
			require.EqualValues(t, k, tx.Terms().Nonce)
			require.EqualValues(t, 250, tx.Terms().Fee)
			require.True(t, slices.ContainsFunc(g.Allocations, func(a wire.Allocation) bool { return a.Address == tx.Terms().Sender }))
		}
	}
	s.Txs.From = 0
	require.Empty(t, payersOf(s))
	s.Blocks.From = 5 * time.Second
	require.Empty(t, payersOf(s), "it is the transactions that must be the same then")
}
