package sim

import (
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// grace is how long a node must stay up after a message was published for its
// delivery to be expected of the network. Far more than any healthy delivery
// of a transaction takes.
const grace = 5 * time.Second

// published is a message that counts.
type published struct {
	made
	origin int
}

// published lists what honest places made while the load lasted, but for what
// was refused. The observers of the makers say so, not those who asked them.
func (g *stage) published() []published {
	g.course.mu.Lock()
	defer g.course.mu.Unlock()
	var list []published
	for i, p := range g.places {
		if !p.honest {
			continue
		}
		p.Observer.mu.Lock()
		for _, m := range p.Observer.made {
			_, refused := g.course.refused[m.id]
			if !refused && !m.at.Before(g.load) && !m.at.After(g.course.end) {
				list = append(list, published{m, i})
			}
		}
		p.Observer.mu.Unlock()
	}
	return list
}

// harvest is what the observers saw of one kind of message.
type harvest struct {
	report.Spread
	latency report.Sample
	waited  report.Sample // latency without the time in which the receiver was away
	floor   report.Sample // of the same pairs
	bytes   uint64        // payload, once per delivered pair
	copies  int
}

// reap compares what was made with what receivers saw: all of it, by phase of an attack,
// and by phase of two loads.
func (g *stage) reap() (kind [kinds]harvest, phase, load [phases][kinds]harvest) {
	paths := g.paths()
	for _, m := range g.published() {
		into := []*harvest{&kind[m.kind], &phase[g.phaseOf(m.at)][m.kind]}
		if i, ok := g.loadOf(m.at); ok {
			into = append(into, &load[i][m.kind])
		}
		g.gather(m, paths, into...)
	}
	for k := range kind {
		kind[k].finish()
		for i := range phase {
			phase[i][k].finish()
			load[i][k].finish()
		}
	}
	return kind, phase, load
}

// gather adds to harvests what became of one message.
func (g *stage) gather(m published, paths func(from int) []time.Duration, harvests ...*harvest) {
	for _, h := range harvests {
		h.Published++
		for i, p := range g.places {
			if i == m.origin || !p.honest {
				continue
			}
			h.copies += p.Observer.copiesOf(m.kind, m.id)
			at, seen := p.Observer.sawAt(m.kind, m.id)
			if !seen && !g.due(p, m.made) {
				continue // it was away
			}
			h.Expected++
			if !seen {
				continue
			}
			h.Delivered++
			h.bytes += uint64(m.size)
			h.latency.AddDuration(at.Sub(m.at))
			up, _ := p.upBetween(m.at, at)
			h.waited.AddDuration(up)
			if d := paths(m.origin)[i]; d != unreachable {
				h.floor.AddDuration(d)
			}
		}
	}
}

// due says whether a message was to reach a place: it was up for long enough after
// the publication, or until the run was over. Transactions are also expected of who was
// away then and came back for long enough, for repair brings them; of blocks it is told
// only those of the best chain.
func (g *stage) due(p *place, m made) bool {
	over := g.course.end.Add(g.s.Drain)
	until := m.at.Add(grace)
	if until.After(over) {
		until = over
	}
	if p.alive(m.at, until) {
		return true
	}
	_, longest := p.upBetween(m.at, over)
	return m.kind == Tx && longest >= grace
}

func (h *harvest) finish() {
	h.DeliveryRatio = report.Ratio(float64(h.Delivered), float64(h.Expected))
	h.LatencyMS = h.latency.Percentiles()
	if h.copies >= h.Delivered { // fewer means that nobody counted copies of this kind
		h.CopiesPerDelivery = report.Ratio(float64(h.copies), float64(h.Delivered))
	}
}

// paths returns the floors from a place, each computed once. Nodes that are
// not honest pass nothing on.
func (g *stage) paths() func(from int) []time.Duration {
	near := undirected(g.graph)
	known := make(map[int][]time.Duration)
	return func(from int) []time.Duration {
		if known[from] == nil {
			known[from] = floors(from, near,
				func(i, j int) time.Duration { return g.world.wires.latency[i][j] },
				func(i int) bool { return !g.places[i].honest })
		}
		return known[from]
	}
}

// sawAt is when the node of this seat first knew a message to be valid.
func (o *Observer) sawAt(kind Kind, id ID) (time.Time, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at, ok := o.first[kind][id]
	return at, ok
}

func (o *Observer) copiesOf(kind Kind, id ID) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.copies[kind][id]
}

// counts are those of all honest places together.
func (g *stage) counts() (c Counts) {
	for _, p := range g.places {
		if !p.honest {
			continue
		}
		p.Observer.mu.Lock()
		own := p.Observer.counts
		p.Observer.mu.Unlock()
		c.Dropped += own.Dropped
		c.Offences += own.Offences
		c.Rebuilt += own.Rebuilt
		c.Asked += own.Asked
		c.RolledBack += own.RolledBack
	}
	return c
}

// report puts the run together. Its wall time is for whoever watched the clock.
func (g *stage) report() *report.Report {
	c := &g.course
	kind, phase, load := g.reap()
	counts := g.counts()
	tx, block := &kind[Tx], &kind[Block]
	sent, payload := c.wire1-c.wire0, tx.bytes+block.bytes
	virtual := g.load.Add(g.s.LoadFor() + g.s.Drain).Sub(g.load.Add(-g.s.Start.Wave - g.s.Settle))
	r := &report.Report{
		Scenario: g.s.Name, World: report.WorldSim, Relay: g.s.Relay, Seed: g.s.Seed, Nodes: g.s.Nodes,
		Links: c.links, VirtualS: report.Measured(virtual.Seconds()),
		Tx: report.Tx{Spread: tx.Spread, WaitedMS: tx.waited.Percentiles(), Refused: report.Measured(len(c.refused)), Dropped: &counts.Dropped},
		Block: report.Block{
			Spread:                     block.Spread,
			RebuiltWithoutRequestRatio: report.Ratio(float64(counts.Rebuilt-counts.Asked), float64(counts.Rebuilt)),
		},
		FloorMS: tx.floor.Percentiles(),
		Bytes: report.Bytes{
			Wire: &sent, PayloadDelivered: payload, WirePerPayload: report.Ratio(float64(sent), float64(payload)),
		},
		Attack:  g.attack(phase),
		Heal:    g.healing.report(),
		Overlap: g.overlap(load),
		Resources: report.Resources{
			HeapMBPerNode:     report.Ratio(float64(c.heap)/1e6, float64(g.s.Nodes)),
			HeapPeakMBPerNode: report.Ratio(float64(max(c.heap, c.heapPeak))/1e6, float64(g.s.Nodes)),
		},
	}
	if r.FloorMS == nil {
		r.FloorMS = block.floor.Percentiles()
	}
	if c.idle > 0 {
		r.Bytes.IdlePerNodeS = report.Ratio(float64(c.idleBytes)/c.idle.Seconds(), float64(g.s.Nodes))
	}
	if c.cpuKnown {
		cpu := (c.cpu1 - c.cpu0).Seconds()
		r.Resources.CPUS = report.Measured(cpu)
		r.Resources.CPUSPerNode = report.Ratio(cpu, float64(g.s.Nodes))
		r.Resources.CPUSPerDelivery = report.Ratio(cpu, float64(tx.Delivered+block.Delivered))
	}
	if len(c.heads) > 0 {
		r.Chain = report.Chain{Heads: report.Measured(len(c.heads)), Height: &c.height, Rollbacks: &counts.RolledBack, Lost: &c.lost}
		r.Tx.Included = &c.included
	}
	if g.trace != nil {
		r.Trace = g.traced()
	}
	g.explain(r, counts)
	return r
}

// explain writes down what a reader must know.
func (g *stage) explain(r *report.Report, counts Counts) {
	c := &g.course
	if want := links(g.graph); c.links < want && g.s.Network.Bootstrap == 0 {
		r.Note("%d of %d dialled links did not carry the relay when the load began", want-c.links, want)
	}
	if n := len(c.refused); n > 0 {
		for id, err := range c.refused {
			r.Note("%d submissions were refused, one of them (%x) with: %v", n, id[:4], err)
			break
		}
	}
	if counts.Offences > 0 {
		first := ""
		for _, p := range g.places {
			if first == "" && p.honest {
				first = p.Observer.firstCharge()
			}
		}
		r.Note("honest nodes charged %d offences to their peers, one of them: %s", counts.Offences, first)
	}
	if g.s.VerifyCost > 0 {
		r.Note("judging a transaction took %v of virtual time, one at a time on each node", g.s.VerifyCost)
	}
	for _, w := range g.status.warnings {
		r.Fail("the run itself went wrong: %s", w)
	}
	g.s.Judge(r)
}
