package sim

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// Phases of a run with attackers, or with two loads of which one begins later.
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

// loadOf tells whether something was published while one of two loads was alone, or while they
// overlapped; false if neither.
func (g *stage) loadOf(at time.Time) (phase int, ok bool) {
	from, to, ok := g.s.Overlap()
	switch after := at.Sub(g.load); {
	case !ok || after >= to:
		return 0, false
	case after < from:
		return calm, true
	}
	return attacked, true
}

// watchOverlap measures what is sent while the two loads overlap.
func (g *stage) watchOverlap(ctx context.Context) {
	from, to, ok := g.s.Overlap()
	if !ok || !Sleep(ctx, time.Until(g.load.Add(from))) {
		return
	}
	before := g.world.sent()
	if Sleep(ctx, time.Until(g.load.Add(to))) {
		sent := g.world.sent() - before
		g.course.overlapBytes = &sent
	}
}

// overlap is the report's part about two loads; nil where they do not overlap.
func (g *stage) overlap(load [phases][kinds]harvest) *report.Overlap {
	from, to, ok := g.s.Overlap()
	if !ok {
		return nil
	}
	o := &report.Overlap{Before: spreads(load[calm]), During: spreads(load[attacked])}
	line := 0.0
	for _, l := range g.world.lines {
		line += float64(l.Uplink.BitsPerSecond) / 8
	}
	if g.s.Network.Mbps == 0 && len(g.s.Network.Classes) == 0 || g.course.overlapBytes == nil {
		return o // there is nothing to fill
	}
	o.UplinkUse = report.Ratio(float64(*g.course.overlapBytes), line*(to-from).Seconds())
	return o
}
