package attack

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
)

// makers are the attackers by kind. Each reads what it wants to know of the
// scenario's params.
var makers = map[string]func(p *params) rule{
	"silent":        newSilent,
	"withholder":    newWithholder,
	"spammer":       newSpammer,
	"replayer":      newReplayer,
	"duplicates":    newDuplicates,
	"oversize":      newOversize,
	"control-flood": newFlood,
	"equivocator":   newEquivocator,
	"cold-boot":     newColdBoot,
	"covert-flash":  newCovertFlash,
	"eclipse":       newEclipse,
	"censor":        newCensor,
	"slow-reader":   newSlowReader,
	"lying-sync":    newLiar,
}

// Kinds are the attackers that this package has, sorted. They are among those
// that a scenario can name.
func Kinds() []string { return slices.Sorted(maps.Keys(makers)) }

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
	maker, ok := makers[a.Kind]
	if !ok {
		return nil, fmt.Errorf("attackers are %v, none is called %q", Kinds(), a.Kind)
	}
	p := newParams(a.Params)
	r := maker(p)
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
	return newNode(seat, r), nil
}

// loadOf is when the load of a run begins: genesis is one slot earlier.
func loadOf(seat sim.Seat) time.Time {
	return time.UnixMilli(int64(seat.Genesis.Time + uint64(seat.Genesis.SlotMillis)))
}
