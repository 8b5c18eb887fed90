package attack

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"github.com/grapevine-p2p/grapevine/testnet/sim"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// beatEvery is how often an attacker acts of its own accord: often enough
	// for a flood of thousands a second to be even.
	beatEvery = 20 * time.Millisecond

	// identifying is how long identify may take to begin to listen for
	// protocols that are registered: those that come earlier are never told.
	identifying = 100 * time.Millisecond

	// inbox is how many RPCs wait for the node's goroutine.
	inbox = 256

	// memory is how many messages an attacker keeps to hand them out.
	memory = 4096

	// graftAgain is how long after a prune a peer is grafted again.
	graftAgain = 75 * time.Second
)

// node is an attacker at a seat.
type node struct {
	seat    sim.Seat // constant, as all to span
	network wire.NetworkID
	rule    rule
	near    []peer.AddrInfo // to be dialled

	impatient bool // dials nodes that are not up yet more often than it comes back

	ready  chan struct{}
	events chan event
	group  *sync.WaitGroup

	span atomic.Pointer[span] // when rule is in force; nil before that is known

	// Owned by the goroutine of run.
	topics   map[string]bool // that some peer is in
	kept     map[string]*message
	order    []string // keys of kept, oldest first
	pruned   map[string]time.Time
	unsigned bool // a message without an author was seen
	sequence uint64
	isReady  bool

	mu    sync.Mutex // guards what follows
	lines map[where]*line
	open  map[where]bool // lines that a stream was opened for
	meshy map[sim.Kind][]peer.ID
}

// where is a router of a peer.
type where struct {
	peer   peer.ID
	router int
}

// span is from when to when a rule is in force; a zero end is for ever.
type span struct{ from, to time.Time }

// event is an RPC of a peer, or, without one, that a line can be written to; or what else
// is for the node's goroutine to do.
type event struct {
	line *line
	rpc  *pb.RPC
	do   func()
}

var _ sim.Participant = (*node)(nil)

func newNode(seat sim.Seat, r rule) *node {
	n := &node{
		seat: seat, network: seat.Genesis.ID(), rule: r,
		ready: make(chan struct{}), events: make(chan event, inbox), group: new(sync.WaitGroup),
		topics: make(map[string]bool),
		lines:  make(map[where]*line), open: make(map[where]bool), kept: make(map[string]*message), pruned: make(map[string]time.Time),
	}
	if _, ok := r.(eternal); ok {
		n.span.Store(new(span))
	}
	if r, ok := r.(supplied); ok {
		r.supply(seat)
	}
	n.near = seat.Neighbours
	if _, ok := r.(aimed); ok {
		n.near = append(slices.Clone(n.near), seat.Victim)
	}
	return n
}

// Run implements sim.Participant.
func (n *node) Run(ctx context.Context) error {
	h, err := n.seat.NewHost()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer n.group.Wait()
	defer h.Close()
	defer cancel()
	if !sim.Sleep(ctx, identifying) {
		return nil
	}
	n.serve(ctx, h)
	n.group.Go(func() { n.look(ctx, h) })
	n.run(ctx)
	return nil
}

// run owns the node's state until ctx ends.
func (n *node) run(ctx context.Context) {
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-n.events:
			n.take(e)
		case now := <-beat.C:
			n.regraft(now)
			n.conduct(now).beat(n, now)
		}
	}
}

// cue says when the load begins, from which the times of the attack count.
func (n *node) cue(load time.Time) {
	s := span{from: load.Add(n.seat.Attack.From)}
	if n.seat.Attack.To > 0 {
		s.to = load.Add(n.seat.Attack.To)
	}
	if _, ok := n.rule.(eternal); ok {
		s.from = time.Time{}
	}
	n.span.Store(&s)
}

// conduct is the rule in force.
func (n *node) conduct(now time.Time) rule {
	if s := n.span.Load(); s == nil || now.Before(s.from) || !s.to.IsZero() && !now.Before(s.to) {
		return honest{}
	}
	return n.rule
}

// attacking says whether the node's own rule is in force now.
func (n *node) attacking() bool { return n.conduct(time.Now()) == n.rule }

func (n *node) take(e event) {
	if e.do != nil {
		e.do()
		return
	}
	if e.rpc == nil {
		clear(e.line.told)
		for topic := range n.topics {
			n.tell(e.line, topic)
		}
		for topic := range e.line.theirs {
			n.graft(e.line, topic)
		}
	} else {
		n.heard(e.line, e.rpc)
	}
	n.showPeers()
}

// heard takes one RPC of a peer.
func (n *node) heard(l *line, rpc *pb.RPC) {
	r := n.conduct(time.Now())
	for _, sub := range rpc.GetSubscriptions() {
		l.theirs[sub.GetTopicid()] = sub.GetSubscribe()
		if sub.GetSubscribe() {
			n.topics[sub.GetTopicid()] = true
			n.tell(l, sub.GetTopicid())
			n.graft(l, sub.GetTopicid())
		}
	}
	control := rpc.GetControl()
	for _, g := range control.GetGraft() {
		l.mesh[g.GetTopicID()] = true
	}
	for _, p := range control.GetPrune() {
		delete(l.mesh, p.GetTopicID())
		n.pruned[string(l.peer)+p.GetTopicID()] = time.Now()
	}
	for _, have := range control.GetIhave() {
		r.announced(n, l, have.GetTopicID(), have.GetMessageIDs())
	}
	for _, want := range control.GetIwant() {
		r.asked(n, l, want.GetMessageIDs())
	}
	for _, carried := range rpc.GetPublish() {
		n.unsigned = n.unsigned || carried.From == nil
		m := &message{idOf(n.network, carried), l, carried}
		if n.knows(m.id) {
			r.repeated(n, m)
			continue
		}
		n.keep(m)
		r.message(n, m)
	}
}

// tell announces to a peer that we are in a topic, once.
func (n *node) tell(l *line, topic string) {
	if !l.told[topic] {
		l.told[topic] = l.send(&pb.RPC{Subscriptions: []*pb.RPC_SubOpts{{Topicid: proto.String(topic), Subscribe: proto.Bool(true)}}})
	}
}

func (n *node) graft(l *line, topic string) {
	if l.control(&pb.ControlMessage{Graft: []*pb.ControlGraft{{TopicID: proto.String(topic)}}}) {
		l.mesh[topic] = true
	}
}

// regraft asks those who pruned us to take us back, no sooner than the
// protocol allows.
func (n *node) regraft(now time.Time) {
	for _, l := range n.everybody() {
		for topic := range l.theirs {
			at, was := n.pruned[string(l.peer)+topic]
			if was && l.theirs[topic] && now.Sub(at) > graftAgain {
				delete(n.pruned, string(l.peer)+topic)
				n.graft(l, topic)
			}
		}
	}
}

// everybody lists the lines in an order that does not change.
func (n *node) everybody() []*line {
	n.mu.Lock()
	list := slices.Collect(maps.Values(n.lines))
	n.mu.Unlock()
	slices.SortFunc(list, func(a, b *line) int { return cmp.Or(cmp.Compare(a.peer, b.peer), cmp.Compare(a.router, b.router)) })
	return list
}

// audience lists the lines to peers that are in a topic.
func (n *node) audience(topic string) []*line {
	return slices.DeleteFunc(n.everybody(), func(l *line) bool { return !l.theirs[topic] })
}

// forward passes a message on to the mesh, as everybody does.
func (n *node) forward(m *message) {
	for _, l := range n.everybody() {
		if l.mesh[m.carried.GetTopic()] && l.peer != m.from.peer {
			l.publish(m.carried)
		}
	}
}

func (n *node) knows(id string) bool { return n.kept[id] != nil }

func (n *node) keep(m *message) {
	n.kept[m.id] = m
	n.order = append(n.order, m.id)
	if len(n.order) > memory {
		delete(n.kept, n.order[0])
		n.order = n.order[1:]
	}
}

// lineTo is the line to a router of a peer.
func (n *node) lineTo(w where) *line {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lines[w] == nil {
		n.lines[w] = newLine(w.peer, w.router)
	}
	return n.lines[w]
}

// end says that w has no stream any more. What waited for it is dropped; what
// the peer said of itself stays true, since it said it on a stream of its own.
func (n *node) end(w where, l *line) {
	l.drain()
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.open, w)
}

// begin says whether w has no stream yet, and takes note that it has now.
func (n *node) begin(w where) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	was := n.open[w]
	n.open[w] = true
	return !was
}

// showPeers lets others see in whose mesh we are.
func (n *node) showPeers() {
	meshy := make(map[sim.Kind][]peer.ID)
	heardOf := false
	for _, l := range n.everybody() {
		for topic := range l.theirs {
			heardOf = true
			if l.mesh[topic] {
				kind := sim.Block
				if topic == n.txTopic() {
					kind = sim.Tx
				}
				meshy[kind] = append(meshy[kind], l.peer)
			}
		}
	}
	n.mu.Lock()
	n.meshy = meshy
	n.mu.Unlock()
	if heardOf && !n.isReady {
		n.isReady = true
		close(n.ready)
	}
}

// Ready implements sim.Participant.
func (n *node) Ready() <-chan struct{} { return n.ready }

// Publish implements sim.Participant. Nobody asks an attacker to publish.
func (n *node) Publish(context.Context, sim.Message) error {
	return fmt.Errorf("attack: seat %d is an attacker's, which publishes nothing for others", n.seat.Number)
}

// MeshPeers implements sim.Participant.
func (n *node) MeshPeers(kind sim.Kind) []peer.ID {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.meshy[kind])
}

// Peers implements sim.Participant.
func (n *node) Peers() []peer.ID {
	n.mu.Lock()
	defer n.mu.Unlock()
	var ids []peer.ID
	for w := range n.open {
		if w.router == 0 {
			ids = append(ids, w.peer)
		}
	}
	return ids
}

// post gives an event to the goroutine of run.
func (n *node) post(ctx context.Context, e event) bool {
	select {
	case n.events <- e:
		return true
	case <-ctx.Done():
		return false
	}
}

// listen reads the RPCs of one peer's stream.
func (n *node) listen(ctx context.Context, s network.Stream, router int) {
	defer s.Reset() //nolint:errcheck // it is over either way
	in := bufio.NewReader(s)
	for {
		b, err := readFrame(in)
		if err != nil {
			return
		}
		rpc := new(pb.RPC)
		if proto.Unmarshal(b, rpc) != nil {
			return
		}
		if !n.post(ctx, event{line: n.lineTo(where{s.Conn().RemotePeer(), router}), rpc: rpc}) ||
			!sim.Sleep(ctx, n.conduct(time.Now()).patience()) {
			return
		}
	}
}

// serve opens what peers may speak to us.
func (n *node) serve(ctx context.Context, h host.Host) {
	h.SetStreamHandler(accomplices, func(s network.Stream) { _ = s.Reset() })
	n.answerHello(h)
	if r, ok := n.rule.(server); ok {
		r.serve(ctx, n, h)
	}
	for router, ids := range routers {
		for _, id := range ids {
			h.SetStreamHandler(id, func(s network.Stream) { n.listen(ctx, s, router) })
		}
	}
}
