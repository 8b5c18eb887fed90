package ledger

import (
	"bytes"
	"slices"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Bounds of what is remembered of producers' turns.
const (
	// MaxTurns is how many turns are remembered, the oldest forgotten first. The
	// clock lets only few slots be news at a time.
	MaxTurns = 1024
	// MaxEvidencePerProducer is how often one producer is convicted. More proves
	// nothing more, and a key gone wild must not fill the network.
	MaxEvidencePerProducer = 4
)

type turn struct {
	producer wire.Address
	slot     uint64
}

type turnSeen struct {
	first     *wire.Header
	convicted bool
}

// turns remembers who signed what in which slot.
type turns struct {
	seen     map[turn]turnSeen
	order    []turn // oldest first
	evidence []wire.Evidence
	convicts map[wire.Address]int // producers are genesis' to appoint, so bounded
}

func newTurns() turns {
	return turns{seen: make(map[turn]turnSeen), convicts: make(map[wire.Address]int)}
}

// Observe notes a header that came as news. first is true for the header that
// was noted first for its producer and slot, however often it comes: that one
// is relayed. A different header for the same turn is not, and the first such
// gives the evidence to publish; later ones give nothing.
func (l *Ledger) Observe(h validation.CheckedHeader) (first bool, ev *wire.Evidence) {
	if h.IsZero() {
		return false, nil
	}
	key := turn{h.Body().Producer, h.Body().Slot}
	seen, ok := l.turns.seen[key]
	if !ok {
		l.turns.remember(key, turnSeen{first: h.Header()})
		return true, nil
	}
	if seen.first.ID() == h.ID() {
		return true, nil
	}
	ev = ordered(seen.first, h.Header())
	if !l.turns.convict(key, ev) {
		return false, nil
	}
	return false, ev
}

// AddEvidence notes evidence that came from others and that a Checker found
// sound. news is false if the producer was convicted for this slot before, or
// often enough already: such evidence is not passed on.
func (l *Ledger) AddEvidence(ev *wire.Evidence) (news bool) {
	key := turn{ev.First.Body().Producer, ev.First.Body().Slot}
	if _, ok := l.turns.seen[key]; !ok {
		l.turns.remember(key, turnSeen{first: ev.First})
	}
	return l.turns.convict(key, ev)
}

// Evidence returns the equivocations found or heard of, oldest first.
func (l *Ledger) Evidence() []wire.Evidence { return slices.Clone(l.turns.evidence) }

func (t *turns) remember(key turn, seen turnSeen) {
	if len(t.order) == MaxTurns {
		delete(t.seen, t.order[0])
		t.order = slices.Delete(t.order, 0, 1)
	}
	t.seen[key] = seen
	t.order = append(t.order, key)
}

// convict keeps ev unless it is no news. The turn must be remembered.
func (t *turns) convict(key turn, ev *wire.Evidence) bool {
	seen := t.seen[key]
	if seen.convicted || t.convicts[key.producer] >= MaxEvidencePerProducer {
		return false
	}
	seen.convicted = true
	t.seen[key] = seen
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
