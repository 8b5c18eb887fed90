package local

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// siegeEvery is how exact the times of evictions are. Each look costs every
// daemon a request.
const siegeEvery = 100 * time.Millisecond

// siege watches how the daemons deal with attackers.
type siege struct {
	attackers []*attacker
	clients   []*api.Client // of the daemons
	graylist  float64       // peers below this score are not listened to

	mu      sync.Mutex // guards what follows
	evicted map[*attacker]time.Duration
}

func newSiege(attackers []*attacker, clients []*api.Client) *siege {
	return &siege{
		attackers: attackers, clients: clients, evicted: make(map[*attacker]time.Duration),
		graylist: node.DefaultConfig("").Score.Thresholds.Graylist,
	}
}

// follow notes when each attacker is evicted: no daemon listens to it any more.
// It returns when ctx ends.
func (g *siege) follow(ctx context.Context, load time.Time) {
	if len(g.attackers) == 0 {
		return
	}
	for pause(ctx, siegeEvery) == nil {
		now := time.Now()
		peers, err := peersOfAll(ctx, g.clients)
		if err != nil {
			continue // a daemon that is down or overwhelmed says nothing
		}
		g.saw(peers, now.Sub(load))
	}
}

// saw takes the peers of all daemons, so long after the load began.
func (g *siege) saw(peers [][]api.Peer, after time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, x := range g.attackers {
		heard := slices.ContainsFunc(peers, func(of []api.Peer) bool { return g.listens(of, x.id) })
		from := x.part.Attack.From
		if heard || after < from {
			delete(g.evicted, x) // it may have come back
			continue
		}
		if _, before := g.evicted[x]; !before {
			g.evicted[x] = after - from
		}
	}
}

// listens says whether the daemon with these peers listens to one.
func (g *siege) listens(peers []api.Peer, id string) bool {
	return slices.ContainsFunc(peers, func(p api.Peer) bool { return p.ID == id && !p.Guest && p.Score >= g.graylist })
}

// banned counts the daemons that some daemon was linked to before and does not
// listen to any more. Of two that do not know each other any more, it counts
// one.
func (g *siege) banned(ids []string, before, after [][]api.Peer) int {
	out := make(map[int]bool)
	for i := range ids {
		for j, id := range ids {
			if i == j || !g.listens(before[i], id) || g.listens(after[i], id) {
				continue
			}
			if knows(after[i], id) || g.listens(after[j], ids[i]) {
				out[j] = true // graylisted, or cut on one side
			} else {
				out[max(i, j)] = true
			}
		}
	}
	return len(out)
}

// attack is the report's part about attackers.
func (g *siege) attack(s *scenario.Scenario) report.Attack {
	a := report.Attack{Attackers: len(g.attackers), Kind: report.NoAttack}
	for i, kind := range s.Attackers {
		if i == 0 {
			a.Kind = kind.Kind
		} else {
			a.Kind += "+" + kind.Kind
		}
	}
	if a.Attackers == 0 {
		return a
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	a.EvictedRatio = report.Ratio(float64(len(g.evicted)), float64(a.Attackers))
	var lasted report.Sample
	for _, took := range g.evicted {
		lasted.Add(took.Seconds())
	}
	if p := lasted.Percentiles(); p != nil {
		a.TimeToEvictS = &report.EvictedS{P50: p.P50, Max: p.Max}
	}
	return a
}
