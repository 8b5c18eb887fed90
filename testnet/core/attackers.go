package core

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/shapes"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Attacks are the kinds of attackers that this world has. Each is a small type
// over an honest machine, and breaks one rule.
func Attacks() []string {
	return []string{
		"silent", "withholder", "duplicates", "oversize", "spammer", equivocation,
		"cold-boot", "covert-flash", eclipsing, censoring,
	}
}

const (
	equivocation = "equivocator"
	eclipsing    = "eclipse"
	censoring    = "censor"
)

// aims says whether attackers of a kind have a link to the victim of the run.
func aims(kind string) bool { return kind == eclipsing || kind == censoring }

// corrupt makes an honest machine an attacker. From and to are virtual times
// between which it attacks; victim is the node that some aim at.
func corrupt(honest *node, a *scenario.Attacker, c *common, from, to time.Duration, victim int) (Machine, error) {
	active := func(now time.Duration) bool { return now >= from && now < to }
	switch a.Kind {
	case "silent", "covert-flash", eclipsing: // they differ in when, and in where they sit
		return &silent{honest, active}, nil
	case "cold-boot": // it never was anything else
		return &silent{honest, func(time.Duration) bool { return true }}, nil
	case censoring:
		return &censor{Machine: honest, active: active, victim: victim, dropped: make(map[ID]bool)}, nil
	case "withholder":
		return &withholder{honest, active}, nil
	case "duplicates":
		copies, err := param(a, "copies", 10, 2, 1000)
		return &duplicator{honest, active, copies}, err
	case "oversize":
		size, err := param(a, "size", wire.MaxTx+1, wire.MaxTx+1, 1<<24)
		return newFlooder(honest, active, content(c.id, Tx, make([]byte, size))), err
	case equivocation:
		return &equivocator{honest, active}, nil
	case "spammer":
		tx := wire.SignTx(c.id, shapes.Wallets(0, 1)[0], &wire.TxBody{Version: wire.TxVersion, Fee: 1 << 20}) // names nobody as sender
		return newFlooder(honest, active, content(c.id, Tx, tx.Bytes())), nil
	}
	return nil, fmt.Errorf("world core has no attacker %q", a.Kind)
}

// param reads a whole number out of an attacker's params.
func param(a *scenario.Attacker, name string, otherwise, least, most int) (int, error) {
	text, ok := a.Params[name]
	if !ok {
		return otherwise, nil
	}
	v, err := strconv.Atoi(text)
	if err != nil || v < least || v > most {
		return otherwise, fmt.Errorf("params.%s of attacker %s is %q, want %d to %d", name, a.Kind, text, least, most)
	}
	return v, nil
}

// silent sits in the mesh and passes on nothing.
type silent struct {
	Machine
	active func(now time.Duration) bool
}

// Step implements Machine.
func (s *silent) Step(now time.Duration, ev Event, out []Action) []Action {
	own := len(out)
	out = s.Machine.Step(now, ev, out)
	if !s.active(now) {
		return out
	}
	kept := out[:own]
	for _, a := range out[own:] {
		if a.Kind == Send && (a.Message.Kind.content() || a.Message.Kind == IHave) {
			continue
		}
		kept = append(kept, a)
	}
	return kept
}

// censor takes no notice of content that comes from its victim first.
type censor struct {
	Machine
	active  func(now time.Duration) bool
	victim  int
	dropped map[ID]bool // as many as the victim makes or passes on in the run
}

// Step implements Machine.
func (c *censor) Step(now time.Duration, ev Event, out []Action) []Action {
	if c.active(now) && ev.Kind == Received && ev.Message.Kind.content() {
		if ev.Peer == c.victim {
			c.dropped[ev.Message.ID] = true
		}
		if c.dropped[ev.Message.ID] {
			return out
		}
	}
	return c.Machine.Step(now, ev, out)
}

// withholder announces what it should push, and never sends it.
type withholder struct {
	Machine
	active func(now time.Duration) bool
}

// Step implements Machine.
func (w *withholder) Step(now time.Duration, ev Event, out []Action) []Action {
	own := len(out)
	out = w.Machine.Step(now, ev, out)
	if !w.active(now) {
		return out
	}
	asked := ev.Kind == Received && ev.Message.Kind == IWant
	kept := out[:own]
	for _, a := range out[own:] {
		if a.Kind == Send && a.Message.Kind.content() {
			if asked {
				continue
			}
			a.Message = listing(IHave, []ID{a.Message.ID})
		}
		kept = append(kept, a)
	}
	return kept
}

// duplicator pushes everything many times over.
type duplicator struct {
	Machine
	active func(now time.Duration) bool
	copies int
}

// Step implements Machine.
func (d *duplicator) Step(now time.Duration, ev Event, out []Action) []Action {
	own := len(out)
	out = d.Machine.Step(now, ev, out)
	if !d.active(now) {
		return out
	}
	for _, a := range out[own:] { // what is appended on the way is not looked at again
		if a.Kind == Send && a.Message.Kind.content() {
			for range d.copies - 1 {
				out = append(out, a)
			}
		}
	}
	return out
}

// flooder sends one bad message to all its links, every tenth of a second.
type flooder struct {
	Machine
	active func(now time.Duration) bool
	bad    *Message
	links  []int // in the order in which they came
}

const (
	floodTimer Timer = 255
	floodEvery       = 100 * time.Millisecond
)

func newFlooder(honest Machine, active func(time.Duration) bool, bad *Message) *flooder {
	return &flooder{Machine: honest, active: active, bad: bad}
}

// Step implements Machine.
func (f *flooder) Step(now time.Duration, ev Event, out []Action) []Action {
	switch {
	case ev.Kind == Started:
		f.links = nil
		out = append(out, Action{Kind: SetTimer, Timer: floodTimer, At: now + floodEvery})
	case ev.Kind == LinkUp:
		f.links = append(f.links, ev.Peer)
	case ev.Kind == LinkDown:
		f.links = slices.DeleteFunc(f.links, func(p int) bool { return p == ev.Peer })
	case ev.Kind == Fired && ev.Timer == floodTimer:
		for _, peer := range f.links {
			if f.active(now) {
				out = append(out, Action{Kind: Send, Peer: peer, Message: f.bad})
			}
		}
		return append(out, Action{Kind: SetTimer, Timer: floodTimer, At: now + floodEvery})
	}
	return f.Machine.Step(now, ev, out)
}

// equivocator is a producer that makes two blocks for each of its slots, and
// gives one half of its links the one and the other half the other.
type equivocator struct {
	*node
	active func(now time.Duration) bool
}

// Step implements Machine.
func (q *equivocator) Step(now time.Duration, ev Event, out []Action) []Action {
	if ev.Kind != Fired || ev.Timer != slotTimer || !q.active(now) {
		return q.node.Step(now, ev, out)
	}
	parent, own := q.state.ledger.Head(), len(out)
	out = q.node.Step(now, ev, out)
	slot, _ := q.genesis.SlotAt(validation.UnixMillis(q.clock(now)))
	second, err := q.seal(parent, nil, slot)
	if err != nil || slot <= parent.Slot {
		return out
	}
	kept := slices.DeleteFunc(out[own:], func(a Action) bool { return a.Kind == Send && a.Message.Kind == Block })
	out = append(out[:own], kept...)
	first := q.state.blocks[q.head().id].message
	out = append(out, Action{Kind: Made, Message: second.message})
	for i, peer := range q.gossip.links {
		m := first
		if i%2 == 1 {
			m = second.message
		}
		out = append(out, Action{Kind: Send, Peer: peer, Message: m})
	}
	return out
}
