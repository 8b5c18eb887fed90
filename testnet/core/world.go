package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/wire"
)

// world is one run: the nodes, what lies between them, and what is planned.
type world struct {
	s        *scenario.Scenario
	id       wire.NetworkID
	roles    *roles
	seats    []seat
	network  *network
	queue    queue
	load     *load
	watch    *watch
	trail    trail
	progress func(Progress)

	start, end time.Duration // of the load
	last       time.Duration // when the run is over
	group      []int         // by node; all equal without a partition
	cuts       [][]int       // by partition, by node

	now     time.Duration
	steps   uint64
	out     []Action // of the step that is carried out
	broken  error
	refused int
	why     error // of the first refusal
	course  course
	census  *census // nil where nodes keep no view of members
}

// seat is the place of one node.
type seat struct {
	machine Machine
	up      bool
	stopped time.Duration // its process stands still until then
	life    uint32        // counts starts: timers of former lives are void
	away    []absent      // in order
}

// absent is a time during which a node was down.
type absent struct{ from, to time.Duration }

// course is what was read off on the way.
type course struct {
	links             int // open when the load began
	idleFrom          time.Duration
	idle0, load0      uint64 // bytes when the quiet time and the load began
	evicted           map[int]time.Duration
	honestBanned      int
	published, learnt int
}

// newWorld lays everything out and plans what the scenario says. Machines come
// from the caller: honest ones and attackers, or what a test wants there.
func newWorld(s *scenario.Scenario, r *roles, machine func(node int) (Machine, error)) (*world, error) {
	w := &world{
		s: s, roles: r, network: newNetwork(s, r.aimed()...), watch: newWatch(s.Nodes), trail: newTrail(),
		seats: make([]seat, s.Nodes), group: make([]int, s.Nodes),
		start:  s.Start.Wave + s.Settle,
		course: course{evicted: map[int]time.Duration{}},
	}
	w.end = w.start + s.LoadFor()
	w.last = w.end + s.Drain
	for i := range w.seats {
		var err error
		if w.seats[i].machine, err = machine(i); err != nil {
			return nil, fmt.Errorf("make node %d: %w", i, err)
		}
	}
	if s.Members {
		w.census = newCensus(s.Nodes)
	}
	w.plan()
	return w, nil
}

// run carries out what is planned until the run is over.
func (w *world) run(ctx context.Context) error {
	for {
		e, ok := w.queue.next()
		if !ok || e.at > w.last {
			break
		}
		if e.at < w.now {
			return w.failed(&e, fmt.Errorf("%w: from %v to %v", OnTime, w.now, e.at))
		}
		w.now = e.at
		w.steps++
		if w.steps%(1<<14) == 0 {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			w.tell()
		}
		w.trail.note(e.at, byte(e.what), e.node, e.peer, e.msg)
		w.happen(&e)
		if w.broken != nil {
			return w.failed(&e, w.broken)
		}
	}
	w.now = w.last
	return w.final()
}

// failed says where an invariant broke, so that it can be found again.
func (w *world) failed(e *event, err error) error {
	return fmt.Errorf("seed %d, step %d, %v after the start, at node %d (%s): %w", w.s.Seed, w.steps, e.at, e.node, w.roles.role[e.node], err)
}

// happen carries out one event.
func (w *world) happen(e *event) {
	if s := &w.seats[e.node]; w.now < s.stopped && (e.what == fired || e.what == linkUp || e.what == linkDown) {
		later := *e
		later.at = s.stopped
		w.queue.plan(later)
		return
	}
	switch e.what {
	case reached, delivered:
		w.arrive(e)
	case fired:
		if s := &w.seats[e.node]; s.up && s.life == e.gen {
			w.step(e.node, Event{Kind: Fired, Timer: e.timer})
		}
	case linkUp, linkDown:
		w.tellLink(e)
	case submit:
		w.submit()
	case nodeUp:
		s := &w.seats[e.node]
		s.up = true
		s.life++
		w.network.lines[e.node].restart(w.now)
		w.step(e.node, Event{Kind: Started})
		w.relink(int(e.node))
	case nodeDown:
		w.seats[e.node].up = false
		w.relink(int(e.node))
		w.away(int(e.node))
	case nodeStops:
		w.seats[e.node].stopped = w.seats[e.node].absence(w.now)
		w.away(int(e.node))
	case cutUp:
		copy(w.group, w.cuts[e.peer])
		w.relinkAll()
	case healed:
		clear(w.group)
		w.relinkAll()
	case quiet:
		w.course.idleFrom, w.course.idle0 = w.now, w.network.wire()
	case opens:
		w.course.load0 = w.network.wire()
		for _, p := range w.network.pairs {
			if p.open {
				w.course.links++
			}
		}
	}
}

// arrive takes a message through the receiver's line and hands it over.
func (w *world) arrive(e *event) {
	n := w.network
	defer w.conserve(e.via)
	if !n.valid(e) || w.now < w.seats[e.node].stopped {
		n.land(e, false)
		return
	}
	if e.what == reached {
		if done := n.through(w.now, e); done > w.now {
			later := *e
			later.at, later.what = done, delivered
			w.queue.plan(later)
			return
		}
	}
	n.land(e, true)
	p := &n.pairs[n.ways[e.via].pair]
	if s := &w.seats[e.node]; !s.up || !w.seats[e.peer].up || !p.open || w.group[e.node] != w.group[e.peer] {
		w.violate(fmt.Errorf("%w: from node %d", OpenLinks, e.peer))
		return
	}
	if w.roles.honest(int(e.node)) {
		w.watch.copies[e.msg.Kind]++
	}
	w.step(e.node, Event{Kind: Received, Peer: int(e.peer), Message: e.msg})
}

// conserve checks the counts of a way that was just used.
func (w *world) conserve(via int32) {
	if err := errors.Join(w.network.ways[via].tally.check(), w.network.total.check()); err != nil {
		w.violate(err)
	}
}

func (w *world) violate(err error) {
	if w.broken == nil {
		w.broken = err
	}
}

// step tells a machine what happened, and does what it answers.
func (w *world) step(node int32, ev Event) {
	m := w.seats[node].machine
	w.out = m.Step(w.now, ev, w.out[:0])
	for i := range w.out {
		w.act(int(node), &w.out[i])
	}
	if err := m.Check(); err != nil {
		w.violate(inBounds(err))
	}
}

// act does what a machine wants done. It plans, and never steps a machine.
func (w *world) act(node int, a *Action) {
	switch a.Kind {
	case Send:
		w.send(node, a)
	case SetTimer:
		if a.At < w.now {
			w.violate(fmt.Errorf("%w: a timer for %v at %v", OnTime, a.At, w.now))
			return
		}
		w.queue.plan(event{at: a.At, what: fired, node: int32(node), timer: a.Timer, gen: w.seats[node].life})
	case Close:
		w.close(node, a)
	case Made:
		counts := w.roles.honest(node) && w.now >= w.start && w.now <= w.end
		if !w.watch.publish(w.now, node, a.Message, counts) {
			w.violate(fmt.Errorf("two messages have the id %x", a.Message.ID))
		}
		w.course.published++
		w.trail.note(w.now, 'm', int32(node), -1, a.Message)
	case Learned:
		if !w.watch.learn(w.now, node, a.Message.ID) && w.roles.honest(node) {
			w.violate(fmt.Errorf("%w: a %s that nobody made is believed", Honesty, a.Message.Kind))
		}
		w.course.learnt++
	case Refused:
		w.refused++
		if w.why == nil {
			w.why = a.Err
		}
	case Broken:
		w.violate(a.Err)
	case Takes:
		if w.census != nil && w.roles.honest(node) && w.roles.honest(a.Peer) {
			w.census.takes(w.now, node, a.Peer, a.State)
		}
	}
}

func (w *world) send(node int, a *Action) {
	if a.Message.Kind.content() && w.roles.honest(node) && !w.watch.knows(node, a.Message.ID) {
		w.violate(fmt.Errorf("%w: a %s to node %d", Honesty, a.Message.Kind, a.Peer))
		return
	}
	if e, ok := w.network.send(w.now, node, a.Peer, a.Message); ok {
		w.queue.plan(e)
	}
}

// close ends a link for good: the machine at node says that its peer proved a
// fault.
func (w *world) close(node int, a *Action) {
	at, ok := w.network.find(node, a.Peer)
	if !ok {
		return
	}
	p := &w.network.pairs[w.network.ways[w.network.near[node][at].way].pair]
	if p.banned {
		return
	}
	p.banned = true
	w.refresh(p)
	switch {
	case !w.roles.honest(node):
	case w.roles.honest(a.Peer):
		w.course.honestBanned++
		w.violate(fmt.Errorf("%w: node %d by node %d: %w", Blameless, a.Peer, node, a.Err))
	case w.cutOff(a.Peer):
		w.course.evicted[a.Peer] = w.now
	}
}

// cutOff says whether every honest neighbour of a node has closed its link.
func (w *world) cutOff(node int) bool {
	for _, h := range w.network.near[node] {
		if w.roles.honest(int(h.peer)) && !w.network.pairs[w.network.ways[h.way].pair].banned {
			return false
		}
	}
	return true
}

// refresh opens or closes a pair as it should be now, and tells both ends.
func (w *world) refresh(p *pair) {
	open := w.seats[p.a].up && w.seats[p.b].up && w.group[p.a] == w.group[p.b] && !p.banned
	if open == p.open {
		return
	}
	p.open = open
	p.gen++
	what := linkDown
	if open {
		what = linkUp
	}
	w.queue.plan(event{at: w.now, what: what, node: p.a, peer: p.b, gen: w.seats[p.a].life})
	w.queue.plan(event{at: w.now, what: what, node: p.b, peer: p.a, gen: w.seats[p.b].life})
}

func (w *world) tellLink(e *event) {
	if s := &w.seats[e.node]; !s.up || s.life != e.gen {
		return
	}
	kind := LinkDown
	if e.what == linkUp {
		kind = LinkUp
	}
	w.step(e.node, Event{Kind: kind, Peer: int(e.peer)})
}

// away opens a death in the census, with all that are there as witnesses.
func (w *world) away(node int) {
	if w.census == nil || !w.roles.honest(node) {
		return
	}
	w.census.gone(w.now, w.seats[node].absence(w.now), node, func(i int) bool {
		return w.roles.honest(i) && w.seats[i].up && w.seats[i].stopped <= w.now
	})
}

func (w *world) relink(node int) {
	for _, h := range w.network.near[node] {
		w.refresh(&w.network.pairs[w.network.ways[h.way].pair])
	}
}

func (w *world) relinkAll() {
	for i := range w.network.pairs {
		w.refresh(&w.network.pairs[i])
	}
}

// submit hands in the next transaction of the load and plans the one after.
func (w *world) submit() {
	m, home := w.load.draw(w.id, func(node int) bool { return w.seats[node].up && w.seats[node].stopped <= w.now })
	if at, ok := w.load.next(); ok {
		w.queue.plan(event{at: at, what: submit})
	}
	if m != nil {
		w.step(int32(home), Event{Kind: Submitted, Message: m})
	}
}

// final checks once what takes too long for every step.
func (w *world) final() error {
	if err := w.network.total.check(); err != nil {
		return err
	}
	flying := 0
	for i := range w.network.ways {
		flying += w.network.ways[i].tally.flying
	}
	if flying != w.network.total.flying {
		return fmt.Errorf("%w: %d in flight on all ways, %d counted", Conservation, flying, w.network.total.flying)
	}
	for i := range w.seats {
		if c, ok := w.seats[i].machine.(chained); ok && w.roles.honest(i) {
			if err := whole(c.chainState().ledger); err != nil {
				return fmt.Errorf("node %d at the end: %w", i, err)
			}
		}
	}
	return nil
}

// tell reports how far the run is.
func (w *world) tell() {
	if w.progress == nil {
		return
	}
	phase := "start"
	switch {
	case w.now >= w.end:
		phase = "drain"
	case w.now >= w.start:
		phase = "load"
	case w.now >= w.s.Start.Wave:
		phase = "settle"
	}
	w.progress(Progress{
		Phase: phase, VirtualS: w.now.Seconds(), TotalS: w.last.Seconds(),
		Published: w.course.published, Delivered: w.course.learnt, Steps: w.steps,
	})
}

// restart empties a node's line.
func (l *line) restart(now time.Duration) { l.upFree, l.downFree = now, now }
