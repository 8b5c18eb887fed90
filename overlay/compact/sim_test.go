package compact_test

import (
	"container/heap"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// The lines of the yardstick, and what a packet costs.
const (
	simRate     = 50e6 / 8 // bytes per second, up and down
	packetBytes = 1_200    // payload of one packet
	packetHead  = 28 + 27  // UDP and IP; QUIC with its tag and the stream frame
	ackBytes    = 60       // one for two packets
	firstWindow = 32 * packetBytes
	idontwant   = 90
	fillWindow  = 13 << 10         // what the first window has left behind a header of 4,200 short ids
	checkTime   = time.Millisecond // of a header
)

// world is a network of machines in virtual time. Lines carry packets, each connection
// has a congestion window that starts small and doubles, and what is short or a header
// goes before what is long.
type world struct {
	now   time.Duration
	queue events
	seq   uint64
	rng   *rand.Rand
	nodes []*simNode
	bytes int // on the wire, everything

	began time.Duration // with the block
	block validation.CheckedBlock
	ids   []wire.ShortID
	built int
	done  []time.Duration
	how   []compact.How
	odd   []compact.Action
	owed  []settled
}

// settled is what a node says that a link owed it.
type settled struct {
	by *simNode
	compact.Settled
}

type simNode struct {
	id      peerscore.PeerID
	m       *compact.Machine
	links   []*simLink
	byID    map[peerscore.PeerID]*simLink
	pool    []validation.CheckedTx
	has     map[wire.TxID]bool
	header  bool
	wake    time.Duration
	silent  bool    // announces, asks and takes, and gives nothing but headers
	keeps   int     // keeps back each so manieth part of a body; 0 keeps none
	parts   int     // of bodies that it was to give
	rate    float64 // bytes per second, up and down
	busy    bool    // its uplink
	turn    int
	downEnd time.Duration
}

// simLink is one direction of a connection, from its owner.
type simLink struct {
	to       *simNode
	back     *simLink
	latency  time.Duration
	mesh     bool
	refused  bool // the other end has the header
	hurry    []parcel
	bulk     []parcel
	inFlight int
	window   int
}

// parcel is a frame, or the header, on its way.
type parcel struct {
	size, left int
	frame      compact.Frame
	header     bool
	dontwant   bool
}

type event struct {
	at  time.Duration
	seq uint64
	do  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	x := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return x
}

func (w *world) after(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.queue, event{w.now + d, w.seq, do})
}

func (w *world) clock() time.Time { return start.Add(w.now) }

// knows is a Known that is a function.
type knows func(link peerscore.PeerID, id wire.TxID) bool

func (k knows) Known(link peerscore.PeerID, id wire.TxID) bool { return k(link, id) }

func (k knows) Common(wire.TxID) bool { return false }

// newWorld makes a network of n nodes that dial so many others each, with a mesh of 8.
func newWorld(n, dials int, cfg compact.Config, rng *rand.Rand, known func(w *world) compact.Known) *world {
	w := &world{rng: rng}
	for i := range n {
		w.nodes = append(w.nodes, &simNode{
			rate: simRate,
			id:   peerscore.PeerID(fmt.Sprintf("node%03d", i)), byID: map[peerscore.PeerID]*simLink{}, has: map[wire.TxID]bool{},
		})
	}
	for _, a := range w.nodes {
		m, err := compact.New(cfg, known(w), rand.New(rand.NewPCG(rng.Uint64(), 2)))
		if err != nil {
			panic(err)
		}
		a.m = m
		for dialled, tries := 0, 0; dialled < dials && tries < 50*dials; tries++ {
			b := w.nodes[rng.IntN(n)]
			if b != a && a.byID[b.id] == nil {
				w.connect(a, b)
				dialled++
			}
		}
	}
	for _, k := range rng.Perm(n) {
		a := w.nodes[k]
		for _, i := range rng.Perm(len(a.links)) {
			if l := a.links[i]; a.degree() < 8 && !l.mesh && l.to.degree() < 12 {
				l.mesh, l.back.mesh = true, true
			}
		}
	}
	for _, a := range w.nodes {
		for _, l := range a.links {
			link := compact.Link{ID: l.to.id, Mesh: l.mesh, RTT: 2 * l.latency, Window: fillWindow}
			if err := a.m.SetLink(link); err != nil {
				panic(err)
			}
		}
	}
	return w
}

func (a *simNode) degree() (d int) {
	for _, l := range a.links {
		if l.mesh {
			d++
		}
	}
	return d
}

func (w *world) connect(a, b *simNode) {
	latency := 20*time.Millisecond + time.Duration(w.rng.Int64N(int64(130*time.Millisecond)))
	ab := &simLink{to: b, latency: latency, window: firstWindow}
	ba := &simLink{to: a, latency: latency, window: firstWindow, back: ab}
	ab.back = ba
	a.links, a.byID[b.id] = append(a.links, ab), ab
	b.links, b.byID[a.id] = append(b.links, ba), ba
}

// put queues a parcel on a link.
func (w *world) put(a *simNode, l *simLink, p parcel) {
	p.left = p.size
	_, fill := p.frame.(*compact.Fill)
	_, chunk := p.frame.(*compact.Chunk)
	switch {
	case a.silent && (fill || chunk), (fill || chunk) && a.keepsBack():
		return
	case fill, chunk, p.header && !l.mesh:
		l.bulk = append(l.bulk, p)
	default:
		l.hurry = append(l.hurry, p)
	}
	w.serve(a)
}

// keepsBack counts a part of a body.
func (a *simNode) keepsBack() bool {
	a.parts++
	return a.keeps > 0 && a.parts%a.keeps == 0
}

// serve puts one packet on the line of a if it is free: what is in a hurry first, the
// links in turn.
func (w *world) serve(a *simNode) {
	if a.busy {
		return
	}
	for _, hurried := range []bool{true, false} {
		for k := range a.links {
			l := a.links[(a.turn+k)%len(a.links)]
			queue := &l.bulk
			if hurried {
				queue = &l.hurry
			}
			for len(*queue) > 0 && (*queue)[0].header && l.refused && (*queue)[0].left == (*queue)[0].size {
				*queue = (*queue)[1:] // IDONTWANT came in time
			}
			if len(*queue) == 0 || l.inFlight >= l.window {
				continue
			}
			a.turn = (a.turn + k + 1) % len(a.links)
			w.packet(a, l, queue)
			return
		}
	}
}

func (w *world) packet(a *simNode, l *simLink, queue *[]parcel) {
	p := &(*queue)[0]
	payload := min(p.left, packetBytes)
	p.left -= payload
	whole, sent := p.left == 0, *p
	if whole {
		*queue = (*queue)[1:]
	}
	size := payload + packetHead
	w.bytes += size + ackBytes/2
	l.inFlight += size
	a.busy = true
	takes := time.Duration(float64(size) / a.rate * float64(time.Second))
	w.after(takes, func() {
		a.busy = false
		w.serve(a)
	})
	w.after(takes+l.latency, func() {
		b := l.to
		b.downEnd = max(b.downEnd, w.now) + time.Duration(float64(size)/b.rate*float64(time.Second))
		w.after(b.downEnd-w.now, func() {
			w.after(l.latency, func() {
				l.inFlight -= size
				if len(l.bulk)+len(l.hurry) > 0 {
					l.window += size // slow start: nothing is lost here
				}
				w.serve(a)
			})
			if whole {
				w.arrive(b, l.back, sent)
			}
		})
	})
}

func (w *world) arrive(b *simNode, from *simLink, p parcel) {
	switch {
	case p.dontwant:
		from.refused = true
	case p.header:
		from.refused = true
		w.after(checkTime, func() { w.heard(b, from) })
	default:
		w.act(b, b.m.Receive(w.clock(), from.to.id, p.frame))
	}
}

// heard takes a header, passes it on along the mesh, and begins with the body.
func (w *world) heard(b *simNode, from *simLink) {
	if !b.header {
		b.header = true
		w.relay(b, false)
		for _, l := range b.links {
			if l.mesh && !l.refused {
				w.put(b, l, parcel{size: idontwant, dontwant: true})
			}
		}
	}
	w.act(b, b.m.Open(w.clock(), from.to.id, w.block.Header(), w.ids, w.known(b)))
}

func (w *world) known(b *simNode) iter.Seq[validation.CheckedTx] { return slices.Values(b.pool) }

func (w *world) relay(a *simNode, toAll bool) {
	size := w.block.Header().Header().Size() + 6*len(w.ids) + 10
	for _, mesh := range []bool{true, false} {
		for _, k := range w.rng.Perm(len(a.links)) {
			if l := a.links[k]; l.mesh == mesh && (mesh || toAll) && !l.refused {
				w.put(a, l, parcel{size: size, header: true})
			}
		}
	}
}

func (w *world) act(a *simNode, actions []compact.Action) {
	for _, x := range actions {
		switch x := x.(type) {
		case compact.Send:
			size := len(x.Frame.AppendTo(nil))
			w.put(a, a.byID[x.To], parcel{size: size, frame: x.Frame})
		case compact.Built:
			w.built++
			w.done = append(w.done, w.now-w.began)
			w.how = append(w.how, x.How)
		case compact.Settled:
			w.owed = append(w.owed, settled{a, x})
		default:
			w.odd = append(w.odd, x)
		}
	}
	at, ok := a.m.Next()
	if !ok {
		return
	}
	due := max(at.Sub(start), w.now)
	if a.wake > w.now && a.wake <= due {
		return
	}
	a.wake = due
	w.after(due-w.now, func() {
		if a.wake == w.now {
			a.wake = 0
			w.act(a, a.m.Tick(w.clock()))
		}
	})
}

// run lets node 0 produce the block and returns when all is quiet, or time is over.
func (w *world) run(b validation.CheckedBlock, coded *compact.Coded, limit time.Duration) {
	w.block, w.began = b, w.now
	w.ids = wire.Compact(b.Block()).ShortIDs
	producer := w.nodes[0]
	producer.header = true
	w.after(0, func() {
		w.relay(producer, true)
		w.act(producer, producer.m.Produce(w.clock(), b, coded))
	})
	for len(w.queue) > 0 {
		e := heap.Pop(&w.queue).(event)
		if e.at > limit {
			return
		}
		w.now = e.at
		e.do()
	}
}

// again forgets what became of a block, for the next one.
func (w *world) again() {
	w.built, w.bytes, w.done, w.how, w.odd, w.owed = 0, 0, nil, nil, nil, nil
	for _, n := range w.nodes {
		n.header, n.pool = false, nil
		for _, l := range n.links {
			l.refused = false
		}
	}
}

func (w *world) percentile(p int) time.Duration {
	sorted := slices.Sorted(slices.Values(w.done))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*p/100]
}

// perPayload is the wire per payload delivered.
func (w *world) perPayload() float64 {
	return float64(w.bytes) / (float64(w.block.Block().Size()) * float64(max(w.built, 1)))
}
