package catchup_test

import (
	"container/heap"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/catchup"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// A world is peers with latency and bandwidth and one node that catches up, in virtual
// time. It is not what is tested, but what a Scheduler is held against: it does what
// it is told in the most straightforward way, and counts.

// branch is a chain of headers; the one of height h is at h-1.
type branch []catchup.Header

var genesis = wire.BlockID{0xff}

func blockID(fork byte, height uint64) (id wire.BlockID) {
	id[0] = fork
	binary.BigEndian.PutUint64(id[1:], height)
	return id
}

// grow makes a branch of blocks of the sizes that size gives.
func grow(from branch, fork byte, to uint64, size func(height uint64) int) branch {
	out := slices.Clone(from)
	for h := uint64(len(from)) + 1; h <= to; h++ {
		parent := genesis
		if len(out) > 0 {
			parent = out[len(out)-1].ID
		}
		out = append(out, catchup.Header{ID: blockID(fork, h), Parent: parent, Height: h, Slot: h, Size: size(h)})
	}
	return out
}

func sized(n int) func(uint64) int { return func(uint64) int { return n } }

// store is the chain of the node.
type store struct {
	has  map[wire.BlockID]catchup.Header
	head catchup.Header
	best map[uint64]wire.BlockID
}

func (s *store) Head() ledger.Ref {
	if s.head.Height == 0 {
		return ledger.Ref{ID: genesis}
	}
	return ledger.Ref{ID: s.head.ID, Height: s.head.Height, Slot: s.head.Slot}
}

func (s *store) HasBlock(id wire.BlockID) bool {
	_, ok := s.has[id]
	return ok || id == genesis
}

func (s *store) BlockAt(h uint64) (wire.BlockID, bool) { id, ok := s.best[h]; return id, ok }

func (s *store) SlotAt(h uint64) (uint64, bool) {
	b, ok := s.has[s.best[h]]
	return b.Slot, ok
}

func (s *store) add(h catchup.Header) {
	s.has[h.ID] = h
	if h.Height <= s.head.Height {
		return
	}
	s.head = h
	for ; h.Height > 0 && s.best[h.Height] != h.ID; h = s.has[h.Parent] {
		s.best[h.Height] = h.ID
	}
}

// peerSim is one peer.
type peerSim struct {
	id      peerscore.PeerID
	honest  bool
	latency time.Duration // one way
	rate    float64       // bytes a second of its uplink
	chain   branch
	claims  uint64
	behave  behaviour
	free    time.Time // its uplink
	asked   int
}

// behaviour answers a request. Nil is honest.
type behaviour func(w *world, p *peerSim, a catchup.Ask)

type event struct {
	at  time.Time
	seq uint64
	do  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

type world struct {
	t        require.TestingT
	cfg      catchup.Config
	s        *catchup.Scheduler
	now      time.Time
	begin    time.Time
	queue    events
	seq      uint64
	peers    map[peerscore.PeerID]*peerSim
	list     []*peerSim
	downlink float64 // bytes a second
	downFree time.Time
	perBlock time.Duration // to add one
	addFree  time.Time
	chain    *store
	headers  map[wire.BlockID]catchup.Header // all that exist
	open     map[uint64]catchup.Ask
	next     time.Time
	reject   map[wire.BlockID]bool

	// What is counted.
	underway  map[wire.BlockID]struct{} // asked, or here, and not in the chain
	bytes     int                       // of those
	maxBlocks int
	maxBytes  int
	fromGood  map[wire.BlockID]int // bodies that honest peers gave
	came      map[wire.BlockID]int // bodies that were kept
	added     []wire.BlockID
	late      map[peerscore.PeerID]int
	rejected  map[wire.BlockID]int
	tellers   []peerscore.PeerID
	postpone  int // blocks that the node fails to add
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newWorld(t require.TestingT, cfg catchup.Config, seed uint64) *world {
	w := &world{
		t: t, cfg: cfg, now: epoch, begin: epoch, peers: make(map[peerscore.PeerID]*peerSim), downlink: 1e9,
		chain:   &store{has: make(map[wire.BlockID]catchup.Header), best: make(map[uint64]wire.BlockID)},
		headers: make(map[wire.BlockID]catchup.Header), open: make(map[uint64]catchup.Ask),
		underway: make(map[wire.BlockID]struct{}), fromGood: make(map[wire.BlockID]int), came: make(map[wire.BlockID]int),
		late: make(map[peerscore.PeerID]int), reject: make(map[wire.BlockID]bool), rejected: make(map[wire.BlockID]int),
	}
	w.restart(seed)
	return w
}

// restart gives the node a new scheduler, as a new process has.
func (w *world) restart(seed uint64) {
	var err error
	w.s, err = catchup.New(w.cfg, w.chain, genesis, rand.New(rand.NewPCG(seed, 1)))
	require.NoError(w.t, err)
	clear(w.open)
	for id := range w.underway {
		delete(w.came, id)
	}
	clear(w.underway)
	w.bytes = 0
	w.next = time.Time{}
	for _, p := range w.list {
		w.s.Peer(w.now, catchup.Source{Peer: p.id, RTT: 2 * p.latency, Height: p.claims})
	}
}

func (w *world) join(p *peerSim) {
	for _, h := range p.chain {
		w.headers[h.ID] = h
	}
	if p.claims == 0 {
		p.claims = uint64(len(p.chain))
	}
	w.peers[p.id] = p
	w.list = append(w.list, p)
	w.s.Peer(w.now, catchup.Source{Peer: p.id, RTT: 2 * p.latency, Height: p.claims})
}

func (w *world) at(t time.Time, do func()) {
	w.seq++
	heap.Push(&w.queue, event{t, w.seq, do})
}

// run goes on until done, or nothing happens any more, or the time is over.
func (w *world) run(within time.Duration, done func() bool) time.Duration {
	end := w.now.Add(within)
	w.tick()
	for !done() {
		at := w.next
		if len(w.queue) > 0 && (at.IsZero() || w.queue[0].at.Before(at)) {
			at = w.queue[0].at
		}
		if at.IsZero() || at.After(end) {
			break
		}
		w.now = at
		for len(w.queue) > 0 && !w.queue[0].at.After(w.now) {
			heap.Pop(&w.queue).(event).do()
		}
		w.tick()
	}
	return w.now.Sub(w.begin)
}

func (w *world) tick() {
	out := w.s.Tick(w.now)
	w.next = out.Next
	if !w.next.IsZero() && w.next.Before(w.now.Add(-time.Second)) {
		require.Fail(w.t, "the past is no time to wake")
	}
	if !w.next.IsZero() && !w.next.After(w.now) {
		w.next = w.now.Add(time.Millisecond)
	}
	for _, c := range out.Cancel {
		a, ok := w.open[c.ID]
		require.True(w.t, ok, "only what is open is cancelled")
		delete(w.open, c.ID)
		w.put(a, 0)
		if c.Why == catchup.Late {
			w.late[c.Peer]++
		}
	}
	for _, id := range out.Drop {
		require.Contains(w.t, w.underway, id)
		w.leave(id)
		delete(w.came, id)
	}
	for _, id := range out.Add {
		w.add(id)
	}
	for _, a := range out.Ask {
		w.ask(a)
	}
	w.maxBlocks, w.maxBytes = max(w.maxBlocks, len(w.underway)), max(w.maxBytes, w.bytes)
	if w.maxBlocks > w.cfg.WindowBlocks || w.maxBytes > w.cfg.WindowBytes {
		require.Fail(w.t, "window", "%d blocks, %d bytes under way", w.maxBlocks, w.maxBytes)
	}
}

// leave takes a block out of what is under way.
func (w *world) leave(id wire.BlockID) {
	if _, ok := w.underway[id]; ok {
		delete(w.underway, id)
		w.bytes -= w.headers[id].Size
	}
}

// put takes the blocks of a request that did not come, from the given one on, out of
// what is under way.
func (w *world) put(a catchup.Ask, from int) {
	for _, id := range a.Blocks[from:] {
		if w.came[id] == 0 {
			w.leave(id)
		}
	}
}

func (w *world) ask(a catchup.Ask) {
	p := w.peers[a.Peer]
	p.asked++
	w.open[a.ID] = a
	for i, id := range a.Blocks {
		if _, twice := w.underway[id]; twice || w.chain.HasBlock(id) || a.From+uint64(i) != w.headers[id].Height {
			require.Fail(w.t, "a block is asked of one peer at a time, and never when it is here")
		}
		w.underway[id] = struct{}{}
		w.bytes += w.headers[id].Size
	}
	behave := p.behave
	if behave == nil {
		behave = serve
	}
	behave(w, p, a)
}

// add gives a block to the chain, after those that were named before.
func (w *world) add(id wire.BlockID) {
	if w.came[id] != 1 {
		require.Fail(w.t, "only what is here can be added")
	}
	start := w.now
	if w.addFree.After(start) {
		start = w.addFree
	}
	w.addFree = start.Add(w.perBlock)
	s := w.s
	w.at(w.addFree, func() {
		if s != w.s {
			return // the process ended before
		}
		h := w.headers[id]
		if w.reject[id] {
			w.rejected[id]++
			w.tellers = append(w.tellers, s.Rejected(w.now, id))
			return
		}
		if w.postpone > 0 {
			w.postpone--
			s.Postponed(w.now, id)
			return
		}
		if !w.chain.HasBlock(h.Parent) {
			s.Postponed(w.now, id) // it follows one that was not added
			return
		}
		w.chain.add(h)
		w.added = append(w.added, id)
		w.leave(id)
		s.Added(id)
	})
}

// send has bytes come from a peer: through its uplink, the line and our downlink.
func (w *world) send(p *peerSim, id uint64, bytes int, then func()) {
	start := w.now.Add(p.latency) // the request's way
	if p.free.After(start) {
		start = p.free
	}
	p.free = start.Add(time.Duration(float64(bytes) / p.rate * float64(time.Second)))
	s := w.s
	w.at(p.free.Add(p.latency), func() {
		if _, open := w.open[id]; !open || s != w.s {
			return
		}
		if w.now.After(w.downFree) {
			w.downFree = w.now
		}
		w.downFree = w.downFree.Add(time.Duration(float64(bytes) / w.downlink * float64(time.Second)))
		w.at(w.downFree, func() {
			if _, open := w.open[id]; !open || s != w.s {
				return
			}
			w.s.Progress(w.now, id, bytes)
			if then != nil {
				then()
			}
		})
	})
}

const (
	chunk      = 16 << 10
	headerSize = 450
	frame      = 512 // headers
)

// serve is what an honest peer does.
func serve(w *world, p *peerSim, a catchup.Ask) {
	if a.Locator != nil {
		serveHeaders(w, p, a)
		return
	}
	for i, id := range a.Blocks {
		if h := a.From + uint64(i); h > uint64(len(p.chain)) {
			break
		} else if p.chain[h-1].ID != id {
			w.send(p, a.ID, p.chain[h-1].Size, func() { w.fail(a, i, catchup.Elsewhere) })
			return
		}
		size := w.headers[id].Size
		for ; size > chunk; size -= chunk {
			w.send(p, a.ID, chunk, nil)
		}
		w.send(p, a.ID, size, func() { w.body(p, a, i) })
	}
	w.finish(p, a)
}

func serveHeaders(w *world, p *peerSim, a catchup.Ask) {
	from := len(p.chain)
	for _, ref := range a.Locator {
		if ref.Height == 0 || ref.Height <= uint64(len(p.chain)) && p.chain[ref.Height-1].ID == ref.ID {
			from = int(ref.Height)
			break
		}
	}
	list := p.chain[from:]
	list = list[:min(len(list), a.Count)]
	for part := range slices.Chunk(list, frame) {
		w.send(p, a.ID, len(part)*headerSize, func() { require.NoError(w.t, w.s.Headers(w.now, a.ID, part)) })
	}
	w.finish(p, a)
}

func (w *world) body(p *peerSim, a catchup.Ask, i int) {
	id := a.Blocks[i]
	keep, err := w.s.Body(w.now, a.ID, id)
	require.NoError(w.t, err)
	if p.honest {
		w.fromGood[id]++
	}
	if keep {
		if w.came[id]++; w.came[id] > 1 {
			require.Fail(w.t, "a block comes once")
		}
	}
}

func (w *world) finish(p *peerSim, a catchup.Ask) {
	var head wire.BlockID
	if len(p.chain) > 0 {
		head = p.chain[len(p.chain)-1].ID
	}
	w.send(p, a.ID, 64, func() {
		delete(w.open, a.ID)
		w.put(a, 0)
		w.s.Ended(w.now, a.ID, catchup.End{Height: uint64(len(p.chain)), Head: head})
	})
}

// refuse ends an answer after some time, unless it was given up before.
func (w *world) refuse(a catchup.Ask, after time.Duration, why catchup.Why) {
	s := w.s
	w.at(w.now.Add(after), func() {
		if _, open := w.open[a.ID]; open && s == w.s {
			w.fail(a, 0, why)
		}
	})
}

func (w *world) fail(a catchup.Ask, from int, why catchup.Why) {
	delete(w.open, a.ID)
	w.put(a, from)
	w.s.Failed(w.now, a.ID, why)
}

func (w *world) reached(b branch) func() bool {
	tip := b[len(b)-1].ID
	return func() bool { return w.chain.HasBlock(tip) }
}
