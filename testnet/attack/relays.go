package attack

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
)

// maker makes attackers of one kind.
type maker struct {
	breaks string               // which rule
	make   func(p *params) rule // reads what it wants to know of the scenario's params
}

// makers are the attackers by kind.
var makers = map[string]maker{
	"silent":        {"passes on nothing", newSilent},
	"withholder":    {"announces everything and sends nothing", newWithholder},
	"spammer":       {"sends transactions with invalid signatures", newSpammer},
	validSpam:       {"sends valid transactions at the fee floor, each of an account that sends nothing else, without end", newValidSpam},
	"replayer":      {"sends every message again when it is forgotten", newReplayer},
	"duplicates":    {"sends every message many times, also to whom it came from", newDuplicates},
	"oversize":      {"sends messages over a limit of size", newOversize},
	"control-flood": {"sends control messages without end", newFlood},
	"equivocator":   {"is a producer that makes two blocks in a slot", newEquivocator},
	"cold-boot":     {"is there before the honest nodes, and passes on nothing", newColdBoot},
	"covert-flash":  {"behaves until all of its kind turn at once, and then passes on nothing", newCovertFlash},
	"eclipse":       {"surrounds one victim with its kind, and passes on nothing", newEclipse},
	"censor":        {"is next to one victim with its kind, and does not pass on what that sends", newCensor},
	"slow-reader":   {"reads what it is sent very slowly", newSlowReader},
	"lying-sync":    {"claims a chain that is not there, and lies about it", newLiar},

	"tampered-list":    {"passes on blocks with other lists of short ids than their headers sign", newTamperer},
	"bodiless":         {"is a producer that announces blocks and gives nobody their bodies", newBodiless},
	"block-withholder": {"passes on headers, says that it has the bodies, and keeps back what it is asked for", newStingy},
	"bad-chunks":       {"sends chunks of blocks that do not prove", newForger},
	"header-flood":     {"is no producer, and sends headers of its own without end", newPretender},
}

// Kinds are the attackers that this package has, sorted. They are among those
// that a scenario can name.
func Kinds() []string { return slices.Sorted(maps.Keys(makers)) }

// Kind describes a sort of attacker.
type Kind struct {
	Name   string  `json:"name"`
	Breaks string  `json:"breaks"` // which rule
	Params []Param `json:"params"` // never nil
}

// Describe describes all kinds, sorted by name.
func Describe() []Kind {
	var kinds []Kind
	for _, name := range Kinds() {
		p := newParams(nil)
		makers[name].make(p)
		kinds = append(kinds, Kind{name, makers[name].breaks, append([]Param{}, p.asked...)})
	}
	return kinds
}

// Relays are the attackers by the names under which world sim looks for them.
func Relays() map[string]sim.Relay {
	relays := make(map[string]sim.Relay)
	for kind := range makers {
		relays[sim.AttackRelay(kind)] = sim.RelayFunc(newAttacker)
	}
	return relays
}

// Check says whether this package has the attacker and what is wrong with its
// params.
func Check(a *scenario.Attacker) error {
	_, err := ruleOf(a)
	return err
}

func ruleOf(a *scenario.Attacker) (rule, error) {
	m, ok := makers[a.Kind]
	if !ok {
		return nil, fmt.Errorf("attackers are %v, none is called %q", Kinds(), a.Kind)
	}
	p := newParams(a.Params)
	r := m.make(p)
	if err := p.err(); err != nil {
		return nil, fmt.Errorf("attacker %s: %w", a.Kind, err)
	}
	return r, nil
}

func newAttacker(seat sim.Seat) (sim.Participant, error) {
	r, err := ruleOf(seat.Attack)
	if err != nil {
		return nil, err
	}
	n := newNode(seat, r)
	n.cue(loadOf(seat))
	return n, nil
}

// loadOf is when the load of a run begins: genesis is one slot earlier.
func loadOf(seat sim.Seat) time.Time {
	return time.UnixMilli(int64(seat.Genesis.Time + uint64(seat.Genesis.SlotMillis)))
}
