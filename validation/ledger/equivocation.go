package ledger

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Bounds of what is remembered of producers' turns.
const (
	// MaxTurns is how many turns are remembered, those of the lowest slots
	// forgotten first: what is synchronised may be old, and pushes out nothing
	// newer. The clock lets only few slots be news at a time.
	MaxTurns = 1024
	// MaxEvidencePerProducer is how often one producer is convicted. More proves
	// nothing more, and a key gone wild must not fill the network.
	MaxEvidencePerProducer = 4
)

type turn struct {
	producer wire.Address
	slot     uint64
}

// turns remembers who signed what in which slot.
type turns struct {
	seen     map[turn]*wire.Header // the first one
	order    []turn                // of seen, by slot
	evidence []wire.Evidence
	proven   map[turn]bool        // those that evidence is of
	convicts map[wire.Address]int // producers are genesis' to appoint, so bounded
}

func newTurns() turns {
	return turns{seen: make(map[turn]*wire.Header), proven: make(map[turn]bool), convicts: make(map[wire.Address]int)}
}

func turnOf(h *wire.Header) turn { return turn{h.Body().Producer, h.Body().Slot} }

// Observe notes a header, by whatever road it came. first is true for the header
// that was noted first for its producer and slot, however often it comes: that
// one is relayed if it is news. A different header for the same turn is not, and
// the first such gives the evidence to publish; later ones give nothing.
func (l *Ledger) Observe(h validation.CheckedHeader) (first bool, ev *wire.Evidence) {
	if h.IsZero() {
		return false, nil
	}
	key := turnOf(h.Header())
	seen := l.turns.seen[key]
	if seen == nil {
		l.turns.remember(h.Header())
		return true, nil
	}
	if seen.ID() == h.ID() {
		return true, nil
	}
	ev = ordered(seen, h.Header())
	if !l.turns.convict(key, ev) {
		return false, nil
	}
	return false, ev
}

// AddEvidence notes evidence that came from others and that a Checker found
// sound. news is false if the producer was convicted for this slot before, or
// often enough already: such evidence is not passed on.
func (l *Ledger) AddEvidence(ev *wire.Evidence) (news bool) {
	if !l.turns.convict(turnOf(ev.First), ev) {
		return false // nor remembered: of its own turns, however far off, a key can convict itself without end
	}
	l.turns.remember(ev.First)
	return true
}

// Evidence returns the equivocations found or heard of, oldest first.
func (l *Ledger) Evidence() []wire.Evidence { return slices.Clone(l.turns.evidence) }

// remember keeps a header as the first of its turn, unless there is one, or the turn is older
// than all of as many as may be.
func (t *turns) remember(first *wire.Header) {
	key := turnOf(first)
	if t.seen[key] != nil {
		return
	}
	at, _ := slices.BinarySearchFunc(t.order, key, func(a, b turn) int {
		return cmp.Or(cmp.Compare(a.slot, b.slot), a.producer.Compare(b.producer))
	})
	if len(t.order) == MaxTurns {
		if at == 0 {
			return
		}
		delete(t.seen, t.order[0])
		t.order = slices.Delete(t.order, 0, 1)
		at--
	}
	t.seen[key] = first
	t.order = slices.Insert(t.order, at, key)
}

// convict keeps ev unless it is no news.
func (t *turns) convict(key turn, ev *wire.Evidence) bool {
	if t.proven[key] || t.convicts[key.producer] >= MaxEvidencePerProducer {
		return false
	}
	t.proven[key] = true
	t.convicts[key.producer]++
	t.evidence = append(t.evidence, *ev)
	return true
}

// ordered returns the one form that evidence of two headers has.
func ordered(a, b *wire.Header) *wire.Evidence {
	x, y := a.ID(), b.ID()
	if bytes.Compare(x[:], y[:]) > 0 {
		a, b = b, a
	}
	return &wire.Evidence{First: a, Second: b}
}
