package sim

import (
	"context"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/shapes"
)

// watchEvery is how exact the times of evictions are.
const watchEvery = 500 * time.Millisecond

// watchAttackers notes when each attacker is evicted: no honest node counts it
// among its peers any more.
func (g *stage) watchAttackers(ctx context.Context) {
	if len(g.s.Attackers) == 0 {
		return
	}
	g.course.evicted = make(map[int]time.Duration)
	turned := g.load.Add(g.s.Attackers[0].From)
	for Sleep(ctx, watchEvery) {
		if g.course.honestMesh == nil && time.Since(turned) >= meshRecovery {
			g.course.honestMesh = g.honestMesh()
		}
		known := peersOf(g.up(-1))
		for i, p := range g.places {
			if p.Attack == nil || known[p.ID] {
				delete(g.course.evicted, i) // it may have come back
				continue
			}
			if _, before := g.course.evicted[i]; !before {
				g.course.evicted[i] = max(0, time.Since(g.load)-p.Attack.From) // nobody may have taken it in
			}
		}
	}
}

// meshRecovery is how long after the first attackers began the meshes are looked at.
const meshRecovery = 30 * time.Second

// honestMesh is the share of the honest among the peers in honest nodes' meshes of
// transactions; nil where these are empty.
func (g *stage) honestMesh() *float64 {
	honest := make(map[peer.ID]bool)
	for _, p := range g.places {
		honest[p.ID] = p.honest
	}
	links, good := 0, 0
	for _, p := range g.up(-1) {
		node := p.participant()
		if node == nil || !p.honest {
			continue
		}
		for _, id := range node.MeshPeers(Tx) {
			if links++; honest[id] {
				good++
			}
		}
	}
	return report.Ratio(float64(good), float64(links))
}

// peersOf are all peers of those who are up.
func peersOf(places []*place) map[peer.ID]bool {
	known := make(map[peer.ID]bool)
	for _, p := range places {
		node := p.participant()
		if node == nil {
			continue // it went down since they were listed
		}
		for _, id := range node.Peers() {
			known[id] = true
		}
	}
	return known
}

// banned counts the honest nodes that some honest node has banned.
func (g *stage) banned() int {
	var guards []Guard
	for _, p := range g.up(-1) {
		if guard, ok := p.participant().(Guard); ok {
			guards = append(guards, guard)
		}
	}
	n := 0
	for _, victim := range g.places {
		if victim.honest && slices.ContainsFunc(guards, func(by Guard) bool { return by.Banned(victim.ID) }) {
			n++
		}
	}
	return n
}

// convicted is the share of what honest nodes know of each attacker that is a producer, in
// which it signed two blocks of one turn; nil where there is none, or nobody keeps evidence.
func (g *stage) convicted() *float64 {
	known, all := 0, 0
	for _, p := range g.up(-1) {
		w, ok := p.participant().(Witness)
		if !ok {
			continue
		}
		for _, x := range g.producers {
			if x.Attack == nil {
				continue
			}
			if all++; w.Convicted(shapes.Address(x.Producer)) {
				known++
			}
		}
	}
	return report.Ratio(float64(known), float64(all))
}

// victimLinks counts the honest ones among the peers that the victim chose, and the attackers among
// the others that it is linked to; nil where nobody chooses.
func (g *stage) victimLinks() (honestChosen, attackersBeside *int) {
	honest := make(map[peer.ID]bool)
	for _, p := range g.places {
		honest[p.ID] = p.honest
	}
	for _, p := range g.places {
		node := p.participant()
		victim, ok := node.(Chooser)
		if !ok || p.ID != p.Victim.ID || p.Finds == 0 {
			continue
		}
		chosen := victim.Chosen()
		good, bad := 0, 0
		for _, id := range chosen {
			if honest[id] {
				good++
			}
		}
		for _, id := range node.Peers() {
			if !honest[id] && !slices.Contains(chosen, id) {
				bad++
			}
		}
		return &good, &bad
	}
	return nil, nil
}

// attack is the report's part about attackers.
func (g *stage) attack(phase [phases][kinds]harvest) report.Attack {
	a := report.Attack{Attackers: g.s.Attacking(), Kind: report.NoAttack, HonestBanned: &g.course.honestBanned}
	for i, kind := range g.s.Attackers {
		if i == 0 {
			a.Kind = kind.Kind
		} else {
			a.Kind += "+" + kind.Kind
		}
	}
	a.ChargedRatio, a.HonestCharged = g.charged()
	if a.Attackers == 0 {
		return a
	}
	a.Before, a.During = spreads(phase[calm]), spreads(phase[attacked])
	a.VictimOutbound, a.VictimInbound = g.course.victimLinks, g.course.besiegers
	a.EvidenceRatio = g.course.convicted
	a.EvictedRatio = report.Ratio(float64(len(g.course.evicted)), float64(a.Attackers))
	a.HonestMeshRatio = g.course.honestMesh
	var lasted report.Sample
	for _, took := range g.course.evicted {
		lasted.Add(took.Seconds())
	}
	if p := lasted.Percentiles(); p != nil {
		a.TimeToEvictS = &report.EvictedS{P50: p.P50, Max: p.Max}
	}
	return a
}
