package sim

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// Phases of a run with attackers.
const (
	calm     = iota // before the first attacker begins, or all where there is none
	attacked        // since then
	phases
)

// phaseOf tells when something was published. What is published just before an attack
// travels while it lasts, and is to be as quick as ever all the same.
func (g *stage) phaseOf(at time.Time) int {
	if len(g.s.Attackers) == 0 {
		return calm
	}
	first := g.s.Attackers[0].From
	for _, a := range g.s.Attackers {
		first = min(first, a.From)
	}
	if at.Before(g.load.Add(first)) {
		return calm
	}
	return attacked
}

func spreads(h [kinds]harvest) *report.Phase {
	return &report.Phase{Tx: h[Tx].Spread, Block: h[Block].Spread}
}

// charged is the share of the attackers whom some honest node charged with an offence, and
// how many honest nodes were charged by others.
func (g *stage) charged() (attackers *float64, honest *int) {
	charged := make(map[peer.ID]bool)
	for _, p := range g.places {
		if p.honest {
			p.Observer.addCharged(charged)
		}
	}
	wrong, right := 0, 0
	for _, p := range g.places {
		switch {
		case !charged[p.ID]:
		case p.Attack != nil:
			right++
		case p.honest:
			wrong++
		}
	}
	return report.Ratio(float64(right), float64(g.s.Attacking())), &wrong
}
