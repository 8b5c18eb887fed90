package overlay_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

func slotOf(c *clock) uint64 { return c.slot.Load() }

// R35: what is missing is asked for, then the whole block.
func TestBlockIsRebuilt(t *testing.T) {
	g, c := testGenesis("rebuild"), newClock()
	a, b := start(t, g, c), start(t, g, c)
	b.join(a)
	meshed(t, a, b)
	other := start(t, g, c) // never connected: where transactions come from that b lacks

	var nonce uint64
	batch := func(n int) (txs []*wire.Transaction) {
		for range n {
			txs = append(txs, transfer(g, "wallet 0", nonce))
			nonce++
		}
		return txs
	}
	produce := func(txs []*wire.Transaction) wire.BlockID {
		c.slot.Add(1)
		block := seal(g, a.chain.Head(), slotOf(c), txs)
		a.produce(block)
		eventually(t, func() bool { return b.chain.Head().ID == block.ID() }, "block %d at b", block.Header.Body().Height)
		eventually(t, func() bool { _, ok := b.seen.how(block.ID()); return ok }, "report")
		return block.ID()
	}

	t.Run("from the pool, without a request", func(t *testing.T) {
		txs := batch(30)
		a.submit(txs...)
		eventually(t, func() bool { return b.chain.pooled() == len(txs) }, "transactions at b")
		how, _ := b.seen.how(produce(txs))
		require.Equal(t, 30, how.FromPool)
		require.Equal(t, peerscore.PeerID(a.host.ID()), how.Sender)
		require.Empty(t, how.From)
		require.Zero(t, how.Asked)
		require.False(t, how.Whole)
		require.Zero(t, b.chain.pooled(), "confirmed transactions leave the pool")
	})
	t.Run("with a request for what is missing", func(t *testing.T) {
		shared, secret := batch(10), batch(5)
		a.submit(shared...)
		eventually(t, func() bool { return b.chain.pooled() == len(shared) }, "transactions at b")
		how, _ := b.seen.how(produce(append(shared, secret...)))
		require.Equal(t, 10, how.FromPool)
		require.Equal(t, 5, how.Asked)
		require.False(t, how.Whole)
		require.Equal(t, peerscore.PeerID(a.host.ID()), how.Sender)
		require.Equal(t, []peerscore.PeerID{how.Sender}, how.From)
	})
	t.Run("when nothing is pooled", func(t *testing.T) {
		how, _ := b.seen.how(produce(batch(40)))
		require.Equal(t, 40, how.Asked)
	})
	t.Run("empty", func(t *testing.T) {
		how, _ := b.seen.how(produce(nil))
		require.Zero(t, how.Asked+how.FromPool)
	})
	require.Zero(t, a.seen.blamed()+b.seen.blamed()+other.seen.blamed())
}

// What was asked for was asked for, whether or not something else was there before the answer.
func TestWaysOfBlocks(t *testing.T) {
	for way, hows := range map[string][]overlay.Rebuilt{
		"at_once": {{}, {FromPool: 3}, {FromPool: 3, Filled: 2, Parts: compact.AtOnce}, {FromPool: 3, Filled: 2, Chunks: 1, Parts: compact.AtOnce}},
		"rounds":  {{FromPool: 3, Asked: 1, Rounds: 1}, {FromPool: 3, Filled: 1, Rounds: 1, Parts: compact.Rounds}},
		"chunks":  {{Chunks: 8, Parts: compact.Chunks}, {Rounds: 1, Asked: 1, Chunks: 8, Parts: compact.Chunks}, {Filled: 3, Wanted: 4, Parts: compact.Chunks}},
		"whole":   {{Whole: true}},
	} {
		for _, how := range hows {
			require.Equal(t, way, how.Way())
			require.Equal(t, way != "at_once", how.Requested())
			require.Equal(t, reflect.ValueOf(how).IsZero(), how.Empty())
		}
	}
}

// A header passes through a node that cannot rebuild it, and is passed on all the same.
//
// R34: a header is passed on before its body is known.
func TestHeaderTravelsAheadOfItsBody(t *testing.T) {
	g, c := testGenesis("ahead"), newClock()
	a, b, d := start(t, g, c), start(t, g, c), start(t, g, c)
	b.join(a)
	d.join(b)
	meshed(t, a, b, d)
	var txs []*wire.Transaction
	for i := range uint64(50) {
		txs = append(txs, transfer(g, "wallet 1", i))
	}
	c.slot.Add(1)
	block := seal(g, a.chain.Head(), slotOf(c), txs)
	a.produce(block)
	for _, n := range []*node{b, d} {
		eventually(t, func() bool { return n.chain.Head().ID == block.ID() }, "block")
		eventually(t, func() bool { _, ok := n.seen.how(block.ID()); return ok }, "report")
		require.Zero(t, n.seen.blamed())
	}
}

func TestBlockWithUnknownParentWaits(t *testing.T) {
	g, c := testGenesis("parent"), newClock()
	a, b := start(t, g, c), start(t, g, c)
	c.slot.Add(1)
	first := seal(g, a.chain.Head(), slotOf(c), nil)
	a.add(first) // before anybody is connected, and never announced
	b.join(a)
	meshed(t, a, b)
	eventually(t, func() bool { return b.chain.Head().ID == first.ID() }, "hello's head is fetched")

	c.slot.Add(1)
	second := seal(g, refOf(first), slotOf(c), nil)
	a.add(second) // silent again
	c.slot.Add(1)
	third := seal(g, refOf(second), slotOf(c), nil)
	a.produce(third)
	eventually(t, func() bool { return b.chain.Head().ID == third.ID() }, "parent is fetched, child follows")
	require.Zero(t, b.seen.blamed())
}

func TestEarlyBlockWaitsForItsSlot(t *testing.T) {
	g, c := testGenesis("early"), newClock()
	ahead := newClock()
	a, b, d := start(t, g, ahead), start(t, g, c), start(t, g, c)
	b.join(a)
	d.join(b)
	meshed(t, a, b, d)
	// The producer's clock is ahead: its own node takes the block, others do not yet.
	tolerated := uint64(g.Limits.ClockToleranceMillis / slotMillis)
	block := seal(g, a.chain.Head(), slotOf(c)+tolerated+3, nil)
	ahead.slot.Add(tolerated + 3)
	a.produce(block)
	never(t, func() bool { return b.chain.HasBlock(block.ID()) }, 3*overlay.WaitingTick, pulse)
	c.slot.Add(3)
	eventually(t, func() bool { return b.chain.Head().ID == block.ID() && d.chain.Head().ID == block.ID() }, "the slot has begun")
	require.Zero(t, b.seen.blamed()+d.seen.blamed())
}

// R27: of two headers of one producer for one slot the second travels as evidence. R123: who sends
// both as blocks is at fault, and nobody else.
func TestEquivocationTravelsAsEvidence(t *testing.T) {
	g, c := testGenesis("equivocation"), newClock()
	soon := func(c *overlay.Config) { c.Limits.TwinsAfter = overlay.WaitingTick }
	a, b, d := start(t, g, c), start(t, g, c, soon), start(t, g, c, soon)
	b.join(a)
	d.join(b)
	meshed(t, a, b, d)
	eventually(t, func() bool { return overlay.Judged(b.Overlay, a.host.ID()) && overlay.Judged(d.Overlay, b.host.ID()) }, "old connections")
	c.slot.Add(1)
	genesis := ledger.Ref{ID: g.ID().GenesisBlock()}
	one := seal(g, genesis, slotOf(c), nil)
	two := seal(g, genesis, slotOf(c), []*wire.Transaction{transfer(g, "wallet 0", 0)})
	a.produce(one)
	eventually(t, func() bool { return d.chain.HasBlock(one.ID()) }, "the first header is relayed")
	a.produce(two)
	for name, n := range map[string]*node{"b": b, "d": d} {
		eventually(t, func() bool { return len(n.chain.evidence()) == 1 }, "evidence at %s", name)
	}
	eventually(t, func() bool { return b.seen.blamed() > 0 }, "blame")
	require.Equal(t, []peerscore.Offence{peerscore.InvalidHeader}, b.seen.offencesOf(a.host.ID()))
	require.Equal(t, 1, b.seen.blamed())
	require.Zero(t, d.seen.blamed())
	require.False(t, d.chain.HasBlock(two.ID()), "the second header is not relayed as a block")
}

// A producer that signs an invalid body is to blame. The peers that relay its header are not,
// nor is who gives the body, however often sync asks them meanwhile: only who tells the block
// as part of its best chain would be (R93).
func TestInvalidBodyBlamesNoRelay(t *testing.T) {
	g, c := testGenesis("invalid body"), newClock()
	quick := func(c *overlay.Config) { c.Limits.SyncRefresh = 100 * time.Millisecond }
	heard := make(chan peerscore.PeerID, 1)
	a, b := start(t, g, c), start(t, g, c, quick)
	d := start(t, g, c, quick, func(c *overlay.Config) {
		c.Hooks.BlockHeard = func(_ wire.BlockID, from peerscore.PeerID) { heard <- from }
	})
	b.join(a)
	d.join(b)
	meshed(t, a, b, d)
	c.slot.Add(1)
	// The nonce leaves a gap: every transaction is sound, but they do not apply.
	block := seal(g, a.chain.Head(), slotOf(c), []*wire.Transaction{transfer(g, "wallet 0", 7)})
	a.chain.keep(block)
	overlay.PublishRaw(t.Context(), a.Overlay, wire.Compact(block).AppendTo(nil))
	eventually(t, func() bool {
		b.seen.mu.Lock()
		defer b.seen.mu.Unlock()
		return slices.ContainsFunc(b.seen.failed, func(err error) bool { return errors.Is(err, validation.BadBlock) })
	}, "b finds the body invalid")
	require.Equal(t, peerscore.PeerID(b.host.ID()), <-heard, "b relays the header")
	b.seen.mu.Lock()
	require.Equal(t, block.ID(), b.seen.invalid[0].ID(), "the producer can be named")
	b.seen.mu.Unlock()
	for _, n := range []*node{a, b, d} {
		require.Zero(t, n.seen.blamed())
		require.Zero(t, n.chain.Head().Height)
	}
}
