package compact

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Link is a connection to a peer that speaks compact/1.
type Link struct {
	ID   peerscore.PeerID
	Mesh bool // on the block topic: headers travel along it
	// RTT is the round trip as the transport measures it, 0 if it has not.
	RTT time.Duration
	// Window is how many bytes may be sent along with a header without waiting for
	// acknowledgements, such as what is free of the congestion window; at most MaxFill.
	Window int
}

// Machine sends blocks to links as what they lack, and puts together those that come. It
// is for one goroutine. Each method takes the time and returns what is to be done, in
// order; the same calls at the same times with the same random source return the same.
type Machine struct {
	cfg   Config // constant
	known Known
	rng   *rand.Rand

	links  []*link // ascending by id
	blocks map[wire.BlockID]*job
	order  []*job    // of blocks, oldest first
	owing  []*job    // forgotten for want of room, but for what is owed; at most maxOwing, oldest first
	askID  uint32    // of the last Ask; four thousand million do not come in a life
	count  uint64    // of links and blocks so far
	now    time.Time // of the call that is under way
	out    []Action
}

type link struct {
	Link
	born    uint64 // the count when it became a link
	rtt     roundTrip
	early   early
	excused time.Time      // when it was last forgiven what it owed
	tardy   int            // chunks that it was late with of late, see late and prompt
	blocks  int            // blocks over which it was late of late, see weigh
	heard   []wire.BlockID // of which it sent headers before they were opened; at most maxHeard, oldest first
}

// maxHeard bounds the blocks for which is remembered that a link has their headers: between
// the first copy of a header and the opening of its block is the matching of a pool.
const maxHeard = 4

func (l *link) hear(id wire.BlockID) {
	if len(l.heard) >= maxHeard {
		l.heard = slices.Delete(l.heard, 0, 1)
	}
	l.heard = append(l.heard, id)
}

// heardOf reports whether the link sent the header of a block that is opened now, and
// forgets it.
func (l *link) heardOf(id wire.BlockID) bool {
	k := slices.Index(l.heard, id)
	if k < 0 {
		return false
	}
	l.heard = slices.Delete(l.heard, k, k+1)
	return true
}

// New returns a machine without links and blocks.
func New(cfg Config, known Known, rng *rand.Rand) (*Machine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if known == nil || rng == nil {
		return nil, errors.New("compact: a Known and a random source are needed")
	}
	return &Machine{cfg: cfg, known: known, rng: rng, blocks: make(map[wire.BlockID]*job)}, nil
}

// SetLink adds a link, or changes what is known of one. An error means that there are as
// many as allowed; it is then told that there is nothing for it, and else ignored.
func (m *Machine) SetLink(l Link) error {
	l.Window = min(max(l.Window, 0), MaxFill)
	k, ok := m.find(l.ID)
	if !ok {
		if len(m.links) >= m.cfg.Links {
			return fmt.Errorf("compact: link %q: there are %d, as many as allowed", l.ID, len(m.links))
		}
		m.count++
		m.links = slices.Insert(m.links, k, &link{born: m.count})
		for _, j := range m.order {
			j.calm = false
		}
	}
	m.links[k].Link = l
	m.links[k].rtt.sample(l.RTT)
	return nil
}

// DropLink forgets a link. What was asked of it is asked of others.
func (m *Machine) DropLink(now time.Time, id peerscore.PeerID) []Action {
	k, ok := m.find(id)
	if !ok {
		return nil
	}
	m.now = now
	m.links = slices.Delete(m.links, k, k+1)
	for _, j := range slices.Concat(m.order, m.owing) {
		owes := func(a *ask) bool { return a.to.ID == id }
		j.asks, j.debts = slices.DeleteFunc(j.asks, owes), slices.DeleteFunc(j.debts, owes)
		delete(j.mates, id)
		j.calm = false
		m.advance(j)
	}
	return m.take()
}

func (m *Machine) find(id peerscore.PeerID) (int, bool) {
	return slices.BinarySearchFunc(m.links, id, func(l *link, id peerscore.PeerID) int { return cmp.Compare(l.ID, id) })
}

func (m *Machine) linkOf(id peerscore.PeerID) *link {
	if k, ok := m.find(id); ok {
		return m.links[k]
	}
	return nil
}

// Open begins to put together the block of a checked header that came from a peer, with
// the short ids that it signs. known yields the transactions of the pool and those seen
// of late, in any order. A block that was opened before is only noted as one that this
// peer has a header of, too: the caller should say so of every header that comes.
func (m *Machine) Open(now time.Time, from peerscore.PeerID, h validation.CheckedHeader, ids []wire.ShortID, known iter.Seq[validation.CheckedTx]) []Action {
	m.now = now
	if j := m.blocks[h.ID()]; j != nil {
		if l := m.linkOf(from); l != nil {
			j.mate(l).header = true
		}
		return m.take()
	}
	j := newJob(now, h)
	j.draft = NewDraft(j.header, ids, known)
	j.how.Known = len(ids) - j.draft.Open()
	if !m.room(j, j.draft.whole) {
		m.act(GaveUp{h.ID(), TooMany})
		return m.take()
	}
	m.keep(j)
	if l := m.linkOf(from); l != nil {
		j.mate(l).header = true
		j.sender = from
	}
	m.tryClose(j)
	m.fillLinks(j)
	if !j.over {
		m.begin(j)
	}
	m.lateComers(j)
	return m.take()
}

// Heard notes that a peer sent the header of a block, which may be opened later: it may be
// asked for the body, and need not be told.
func (m *Machine) Heard(from peerscore.PeerID, id wire.BlockID) {
	l := m.linkOf(from)
	switch j := m.blocks[id]; {
	case l == nil:
	case j != nil:
		j.mate(l).header = true
	default:
		l.hear(id)
	}
}

// Produce sends a block that this node made, or has whole for another reason and is the
// first to send. coded are its chunks if its header signs any, else nil.
func (m *Machine) Produce(now time.Time, block validation.CheckedBlock, coded *Coded) []Action {
	m.now = now
	if m.blocks[block.ID()] != nil {
		return m.take()
	}
	j := newJob(now, block.Header())
	m.room(j, func() bool { return true })
	j.txs, j.over, j.own = block.Block().Txs, true, true
	if coded != nil && j.chunked && coded.Root() == j.header.ChunkRoot {
		j.coded = coded
	}
	m.keep(j)
	if j.coded != nil && m.cold(j) {
		m.seed(j, m.links)
	} else {
		m.fillLinks(j)
	}
	m.lateComers(j)
	return m.take()
}

// Arrived says that the body of a block has come in another way, whole, and is what its
// header signs. Who had sent other transactions for it is blamed.
func (m *Machine) Arrived(now time.Time, id wire.BlockID, txs []*wire.Transaction) []Action {
	m.now = now
	j := m.blocks[id]
	if j == nil || j.txs != nil {
		return m.take()
	}
	if j.draft != nil {
		for _, liar := range j.draft.Liars(txs) {
			m.act(Blame{liar, id, fmt.Errorf("%w: in block %s", WrongTx, id)})
		}
	}
	m.whole(j, txs)
	return m.take()
}

// Receive takes a frame from a link. A frame for a block that is not known yet waits. Who is
// no link is told that there is nothing for it, lest it wait.
func (m *Machine) Receive(now time.Time, from peerscore.PeerID, f Frame) []Action {
	m.now = now
	l := m.linkOf(from)
	if a, ok := f.(*Ask); ok && l == nil {
		m.act(Send{from, &Fill{Block: a.Block, ID: a.ID}})
		return m.take()
	}
	if l == nil || f == nil {
		return nil
	}
	j := m.blocks[f.Of()]
	if j == nil {
		j = m.owed(f)
	}
	if j == nil {
		l.early.put(now.Add(m.cfg.EarlyFor), f, m.cfg.EarlyBytes)
		return nil
	}
	m.receive(j, l, f)
	return m.take()
}

func (m *Machine) receive(j *job, l *link, f Frame) {
	mate := j.mate(l)
	if mate.barred {
		return
	}
	var err error
	switch f := f.(type) {
	case *Ask:
		err = m.onAsk(j, mate, f)
	case *Fill:
		err = m.onFill(j, mate, f)
	case *Have:
		err = m.onHave(j, mate, f)
	case *Want:
		err = m.onWant(j, mate, f)
	case *Chunk:
		err = m.onChunk(j, mate, f)
	}
	if err != nil {
		m.bar(j, mate, err)
	}
	m.advance(j)
}

// bar blames a link, and asks and takes nothing more of it for this block.
func (m *Machine) bar(j *job, mate *mate, err error) {
	mate.barred = true
	mate.asked, j.calm = Bitmap{}, false
	j.asks = slices.DeleteFunc(j.asks, func(a *ask) bool { return a.to == mate.link })
	m.act(Blame{mate.link.ID, j.id, err})
}

// Tick does what is due. The caller calls it at the time that Next names.
func (m *Machine) Tick(now time.Time) []Action {
	m.now = now
	for _, l := range m.links {
		for _, f := range l.early.expired(now) {
			if a, ok := f.(*Ask); ok { // an honest answer to who may wait for one
				m.send(l, &Fill{Block: a.Block, ID: a.ID})
			}
		}
	}
	for _, j := range slices.Clone(m.order) {
		m.tick(j)
	}
	m.collect()
	return m.take()
}

// Next is when Tick has something to do; ok is false while nothing waits.
func (m *Machine) Next() (at time.Time, ok bool) {
	first := func(t time.Time) {
		if !t.IsZero() && (!ok || t.Before(at)) {
			at, ok = t, true
		}
	}
	for _, l := range m.links {
		first(l.early.next())
	}
	for _, j := range m.owing {
		first(m.collects(j))
	}
	for _, j := range m.order {
		for _, t := range []time.Time{j.ends, j.askAt, j.haveAt, j.seedAt, j.stallAt} {
			first(t)
		}
		for _, a := range j.asks {
			if a.live() {
				first(a.due)
			}
		}
		for _, l := range m.links {
			if t := j.mates[l.ID]; t != nil {
				first(t.lateAt)
				if !t.asked.IsZero() {
					first(t.due)
				}
			}
		}
	}
	return at, ok
}

func (m *Machine) keep(j *job) {
	m.progress(j, 0)
	if j.over {
		j.ends = m.now.Add(m.cfg.Keep)
	}
	for _, l := range m.links {
		if l.heardOf(j.id) {
			j.mate(l).header = true
		}
	}
	m.count++
	j.born = m.count
	m.blocks[j.id] = j
	m.order = append(m.order, j)
	// What is owed from before cannot be told from what will be.
	before := len(m.owing)
	m.owing = slices.DeleteFunc(m.owing, func(other *job) bool { return other.id == j.id })
	j.again = len(m.owing) < before
}

func (m *Machine) forget(j *job) {
	delete(m.blocks, j.id)
	m.order = slices.DeleteFunc(m.order, func(other *job) bool { return other == j })
}

// lateComers takes the frames that came before the header.
func (m *Machine) lateComers(j *job) {
	for _, l := range m.links {
		for _, f := range l.early.of(j.id) {
			m.receive(j, l, f)
		}
	}
}

func (m *Machine) act(a Action) { m.out = append(m.out, a) }

func (m *Machine) send(l *link, f Frame) { m.act(Send{l.ID, f}) }

func (m *Machine) take() []Action {
	out := m.out
	m.out = nil
	return out
}

// early are frames of a link that came before the header of their block.
type early struct {
	frames []waiting
	bytes  int
}

type waiting struct {
	frame Frame
	until time.Time
	bytes int // that it holds
}

// What a frame holds beside its bytes: earlyHead at most for what it skipped, its own fields and
// its place here, and lists that it was decoded into.
const (
	earlyHead    = maxUnknownBytes + 256
	bytesOfPlace = 4
	bytesOfSlice = 24
)

// held is about what a frame keeps in memory.
func held(f Frame) int {
	size := f.Size() + earlyHead
	switch f := f.(type) {
	case *Ask:
		size += cap(f.Places) * bytesOfPlace
	case *Fill:
		size += cap(f.Places)*bytesOfPlace + cap(f.Txs)*bytesOfSlice
	}
	return size
}

// put keeps f if there is room; otherwise it is as if it had been lost.
func (e *early) put(until time.Time, f Frame, limit int) {
	if size := held(f); e.bytes+size <= limit {
		e.frames = append(e.frames, waiting{f, until, size})
		e.bytes += size
	}
}

// of takes out the frames of a block.
func (e *early) of(id wire.BlockID) []Frame {
	return e.remove(func(w waiting) bool { of := w.frame.Of(); return bytes.Equal(of[:], id[:]) })
}

// expired takes out what has waited long enough.
func (e *early) expired(now time.Time) []Frame {
	return e.remove(func(w waiting) bool { return !w.until.After(now) })
}

func (e *early) remove(which func(waiting) bool) []Frame {
	var out []Frame
	e.frames = slices.DeleteFunc(e.frames, func(w waiting) bool {
		if !which(w) {
			return false
		}
		out = append(out, w.frame)
		e.bytes -= w.bytes
		return true
	})
	return out
}

func (e *early) next() time.Time {
	if len(e.frames) == 0 {
		return time.Time{}
	}
	return e.frames[0].until
}
