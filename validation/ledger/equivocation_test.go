package ledger_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// header is one of many that the producer of the slot could sign on genesis.
func (c *chain) header(slot uint64, mark byte) validation.CheckedHeader {
	now := time.UnixMilli(int64(c.g.SlotStart(slot)))
	h, err := c.checker.Header(context.Background(), now, marked(c.g, mark, nil, slot).Header, validation.Gossip)
	c.require.NoError(err)
	return h
}

// R27: the first header of a turn is relayed, the second becomes evidence, once.
func TestEvidenceOnce(t *testing.T) {
	c := newChain(t, testGenesis(2))
	x, y, z := c.header(1, 1), c.header(1, 2), c.header(1, 3)

	first, ev := c.ledger.Observe(x)
	require.True(t, first)
	require.Nil(t, ev)
	first, ev = c.ledger.Observe(x)
	require.True(t, first, "the same header again is still the first")
	require.Nil(t, ev)

	first, ev = c.ledger.Observe(y)
	require.False(t, first)
	require.NotNil(t, ev)
	sound, err := c.checker.Evidence(ev.AppendTo(nil))
	require.NoError(t, err, "what the ledger finds, every Checker takes")
	require.ElementsMatch(t, []wire.BlockID{x.ID(), y.ID()}, []wire.BlockID{sound.First.ID(), sound.Second.ID()})

	for _, later := range []validation.CheckedHeader{y, z} {
		first, ev = c.ledger.Observe(later)
		require.False(t, first)
		require.Nil(t, ev, "once is enough")
	}
	require.False(t, c.ledger.AddEvidence(sound), "our own comes back")
	first, _ = c.ledger.Observe(x)
	require.True(t, first)
	first, _ = c.ledger.Observe(c.header(2, 1))
	require.True(t, first, "another slot is another turn")
	require.Equal(t, []wire.Evidence{*sound}, c.ledger.Evidence())
	first, ev = c.ledger.Observe(validation.CheckedHeader{})
	require.False(t, first)
	require.Nil(t, ev)
}

// R27: TestEquivocationIsNoReasonToRefuse: both blocks stay acceptable by sync.
func TestEquivocationIsNoReasonToRefuse(t *testing.T) {
	g := testGenesis(2)
	c := newChain(t, g)
	x, y := marked(g, 1, nil, 1), marked(g, 2, nil, 1)
	c.mustAdd(x, y)
	c.mustAdd(blockOn(g, y, 3))
	c.mustAdd(blockOn(g, x, 3), blockOn(g, x, 2))
	require.Equal(t, uint64(2), c.ledger.Head().Slot)
}

func TestEvidenceFromOthers(t *testing.T) {
	c := newChain(t, testGenesis(1))
	convicted := 0
	for slot := uint64(1); slot <= ledger.MaxEvidencePerProducer+3; slot++ {
		x, y := c.header(slot, 1), c.header(slot, 2)
		other := newChain(t, c.g)
		other.ledger.Observe(x)
		_, ev := other.ledger.Observe(y)
		_, err := c.checker.Evidence(ev.AppendTo(nil))
		c.require.NoError(err, "in whichever order the headers came")
		if c.ledger.AddEvidence(ev) {
			convicted++
		}
		require.False(t, c.ledger.AddEvidence(ev), "old news")
		first, again := c.ledger.Observe(y)
		require.Nil(t, again)
		first2, again := c.ledger.Observe(x)
		require.Nil(t, again)
		require.True(t, first != first2, "one of the two counts as the first")
	}
	require.Equal(t, ledger.MaxEvidencePerProducer, convicted, "a key gone wild must not fill the network")
	require.Len(t, c.ledger.Evidence(), convicted)
}

// TestTurnsAreBounded: the turn of the lowest slot is forgotten, the rest is not, and what is
// older than all is not remembered.
func TestTurnsAreBounded(t *testing.T) {
	c := newChain(t, testGenesis(2))
	const oldest = 3
	for slot := uint64(oldest); slot < oldest+ledger.MaxTurns; slot++ {
		c.ledger.Observe(c.header(slot, 1))
	}
	for slot := uint64(1); slot < oldest; slot++ {
		for mark := range byte(2) {
			first, ev := c.ledger.Observe(c.header(slot, mark))
			require.True(t, first)
			require.Nil(t, ev)
		}
	}
	second := func(slot uint64) *wire.Evidence {
		first, ev := c.ledger.Observe(c.header(slot, 2))
		require.Equal(t, ev == nil, first)
		return ev
	}
	require.NotNil(t, second(oldest), "what is old pushed out nothing")
	c.ledger.Observe(c.header(oldest+ledger.MaxTurns, 1))
	require.Nil(t, second(oldest), "forgotten")
	require.NotNil(t, second(oldest+1))
	require.NotNil(t, second(oldest+ledger.MaxTurns))
}

// What was proven is no news again because its turn is forgotten, or too old to be remembered.
func TestEvidenceOfForgottenTurnsIsOldNews(t *testing.T) {
	c, other := newChain(t, testGenesis(2)), newChain(t, testGenesis(2))
	prove := func(slot uint64) *wire.Evidence {
		other.ledger.Observe(c.header(slot, 1))
		_, ev := other.ledger.Observe(c.header(slot, 2))
		require.NotNil(t, ev)
		return ev
	}
	old := prove(2)
	for slot := uint64(3); slot < 3+ledger.MaxTurns; slot++ {
		c.ledger.Observe(c.header(slot, 1))
	}
	for _, ev := range []*wire.Evidence{old, prove(4)} {
		require.True(t, c.ledger.AddEvidence(ev))
		require.False(t, c.ledger.AddEvidence(ev))
	}
	require.Len(t, c.ledger.Evidence(), 2)
}

// A ledger that was restored knows whose turn it was above the final block: the other header of
// a turn may come after a restart.
func TestTurnsOfTheTreeOutliveTheProcess(t *testing.T) {
	g := testGenesis(5)
	c := newChain(t, g)
	best, side := blockOn(g, nil, 2), blockOn(g, nil, 3)
	c.mustAdd(best, side)
	restored, err := ledger.Restore(g, c.store, c.ledger.Save())
	require.NoError(t, err)
	for _, slot := range []uint64{2, 3} {
		first, ev := restored.Observe(c.header(slot, 9))
		require.False(t, first)
		require.NotNil(t, ev)
	}
	first, ev := restored.Observe(c.header(4, 9))
	require.True(t, first)
	require.Nil(t, ev)
}

// A key that convicts itself of turns far off, without end, makes nobody forget the turns of others.
func TestEvidenceOfTheFutureBlindsNobody(t *testing.T) {
	g := testGenesis(2)
	c := newChain(t, g)
	for slot, sent := uint64(1)<<40, 0; sent < ledger.MaxTurns; slot++ {
		if g.ProducerOf(1, slot) != producer(0) {
			continue
		}
		a, b := marked(g, 1, nil, slot).Header, marked(g, 2, nil, slot).Header
		if x, y := a.ID(), b.ID(); bytes.Compare(x[:], y[:]) > 0 {
			a, b = b, a
		}
		ev, err := c.checker.Evidence((&wire.Evidence{First: a, Second: b}).AppendTo(nil))
		require.NoError(t, err, "evidence is sound at any time")
		c.ledger.AddEvidence(ev)
		sent++
	}
	slot := uint64(1)
	for g.ProducerOf(1, slot) != producer(1) {
		slot++
	}
	first, _ := c.ledger.Observe(c.header(slot, 1))
	require.True(t, first)
	first, ev := c.ledger.Observe(c.header(slot, 2))
	require.False(t, first)
	require.NotNil(t, ev, "another producer signs twice")
}
