package compact

import (
	"fmt"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// job is one block: while it is put together, and then while it is served.
type job struct {
	id      wire.BlockID // constant
	checked validation.CheckedHeader
	header  *wire.HeaderBody
	opened  time.Time
	born    uint64           // the machine's count when it was opened
	again   bool             // it was known before, and things were owed over it
	own     bool             // made here
	sender  peerscore.PeerID // of the header; empty if it is no link any more

	layout  Layout // of the chunks
	chunked bool   // the header has chunks
	broken  bool   // and they turned out to be of another body

	draft *Draft              // nil for a block of our own
	txs   []*wire.Transaction // the body, once it is known
	size  int                 // of txs, once somebody wanted to know
	over  bool                // whole, or given up
	lost  bool                // given up, and never whole since
	ends  time.Time           // of the attempt, or of serving it
	ended time.Time           // when it was over
	asked time.Time           // when something was last asked for, or said to come
	came  int                 // bytes of its parts that were of use
	tardy int                 // chunks and answers that came long after it was over
	mates map[peerscore.PeerID]*mate

	// Asking for transactions.
	asks  []*ask
	debts []*ask // once it is over: those asks
	round int
	askAt time.Time // the first round; zero is not planned
	// calm: there was nobody to ask for anything, and nothing that this depends on has changed
	// since: what is missing, the asks, who can be asked.
	calm bool

	// Collecting chunks.
	seeking bool
	sought  bool // ever
	pieces  []piece
	have    Bitmap // of pieces
	onward  Bitmap // of those, which are ours to spread
	spread  int    // bytes of chunks given away unasked
	coded   *Coded // all chunks, once they were needed
	haveAt  time.Time
	seedAt  time.Time // when a producer does more to be heard of
	stallAt time.Time // when asking takes over from collecting
	seeded  bool

	how How
}

// mate is what one link has to do with one block.
type mate struct {
	link    *link
	barred  bool // committed a fault over this block
	header  bool // sent its header
	excused bool // its stream broke, and what it owed may be lost

	whole   bool // said to have it
	seeking bool
	dry     bool // had nothing of what we asked for
	filled  bool // sent its one unasked Fill
	owes    bool // promised us what we no longer need
	waiting *Ask // what it was promised
	served  int  // bytes of transactions that it was given

	has    Bitmap // chunks that it has or is being sent
	sent   Bitmap // chunks that it was sent by us
	got    Bitmap // chunks that it sent us
	asked  Bitmap // chunks that it is to send
	wanted Bitmap // chunks that it ever was asked for
	coming Bitmap // chunks that it ever said are on their way
	told   Bitmap // chunks it knows that we have
	due    time.Time
	slow   bool // was late with chunks
	late   bool // was late with any part
	// lateAt is when chunks that are not counted upon any more become a lapse.
	lateAt time.Time

	toldWhole   bool
	toldSeeking bool
}

func newJob(now time.Time, h validation.CheckedHeader) *job {
	j := &job{id: h.ID(), checked: h, header: h.Body(), opened: now, mates: make(map[peerscore.PeerID]*mate)}
	j.layout, j.chunked = LayoutOf(j.header)
	return j
}

func (j *job) mate(l *link) *mate {
	t := j.mates[l.ID]
	if t == nil {
		t = &mate{link: l}
		j.mates[l.ID] = t
	}
	return t
}

// mayOwe reports whether something may have been asked of a link over this block that nothing
// is known of: before the link was dropped and taken up, or before the block was forgotten.
func (j *job) mayOwe(l *link) bool { return j.again || l.born > j.born }

// tx is transaction i as far as it is known.
func (j *job) tx(i uint32) *wire.Transaction {
	switch {
	case j.txs != nil && int(i) < len(j.txs):
		return j.txs[i]
	case j.draft != nil:
		return j.draft.Tx(i)
	}
	return nil
}

// atHand are the transactions by place, nil for those that are missing.
func (j *job) atHand() []*wire.Transaction {
	if j.txs != nil {
		return j.txs
	}
	txs := make([]*wire.Transaction, j.draft.Len())
	for i := range txs {
		txs[i] = j.draft.Tx(uint32(i))
	}
	return txs
}

func (j *job) count() int {
	if j.draft != nil {
		return j.draft.Len()
	}
	return len(j.txs)
}

// bytes is what the transactions at hand take. What the header says may be a lie, which is none
// of those who ask for them.
func (j *job) bytes() int {
	if j.txs == nil {
		return j.draft.Bytes()
	}
	if j.size == 0 {
		for _, tx := range j.txs {
			j.size += tx.Size()
		}
	}
	return j.size
}

// missingBytes is what the transactions that are missing take, if the header tells the truth.
func (j *job) missingBytes() int { return max(0, int(j.header.Size)-j.draft.Bytes()) }

// tooMuch reports whether so many bytes are missing that chunks are cheaper than answers. A
// chunk brings everything, the known part included, so that collecting costs the whole
// block; but it takes from all neighbours, where an Ask makes one uplink give all.
func (j *job) tooMuch(missing int) bool {
	return j.chunked && !j.broken && (missing > MaxFill || missing >= max(MinChunked, int(j.header.Size)/4))
}

// begin starts to get what is missing.
func (m *Machine) begin(j *job) {
	if j.tooMuch(j.missingBytes()) {
		m.seek(j)
		return
	}
	j.askAt = m.now
	if l := m.linkOf(j.sender); l != nil && l.Mesh {
		j.askAt = m.now.Add(m.cfg.FillWait)
	}
	m.askIfDue(j)
}

// progress takes note of a part that came, of so many bytes: who still gets some of a block
// waits on, for as long as these would take on the slowest line.
func (m *Machine) progress(j *job, size int) {
	j.calm = false
	j.came += size
	paid := time.Duration(j.came) * time.Second / time.Duration(m.cfg.LeastRate)
	j.ends = m.now.Add(m.cfg.GiveUp)
	for _, last := range []time.Time{j.opened.Add(m.cfg.GiveUp + paid), j.opened.Add(m.cfg.Longest)} {
		if last.Before(j.ends) {
			j.ends = last
		}
	}
}

// advance does what any event may have made possible.
func (m *Machine) advance(j *job) {
	if j.over {
		return
	}
	m.askAgain(j)
	m.pull(j)
}

func (m *Machine) tick(j *job) {
	switch {
	case !j.ends.After(m.now) && j.over:
		m.settle(j)
		m.forget(j)
		return
	case !j.ends.After(m.now):
		m.giveUp(j, Exhausted)
		return
	}
	m.askIfDue(j)
	m.overdue(j)
	m.tellIfDue(j)
	m.seedIfDue(j)
	if passed(j.stallAt, m.now) && !j.over {
		j.stallAt = time.Time{}
		j.seeking = false
		j.askAt = m.now
		m.askIfDue(j)
	}
	m.advance(j)
}

func passed(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

// tryClose ends the job if nothing is missing.
func (m *Machine) tryClose(j *job) {
	if j.over || j.draft == nil {
		return
	}
	parts, ok, err := j.draft.Close()
	switch {
	case err != nil && j.chunked && !j.broken && !j.seeking:
		m.seek(j) // chunks prove on their own
	case err != nil && !j.seeking:
		m.giveUp(j, err)
	case ok:
		switch {
		case j.round > 0:
			j.how.Way = Rounds
		case j.sought:
			j.how.Way = Chunks
		default:
			j.how.Way = AtOnce
		}
		m.built(j, parts)
	}
}

// built hands out the body, and gives those who wait for us their share.
func (m *Machine) built(j *job, parts []validation.Part) {
	j.how.Took = m.now.Sub(j.opened)
	j.how.Rounds = j.round
	slices.Sort(j.how.From)
	j.how.From = slices.Compact(j.how.From)
	txs := make([]*wire.Transaction, len(parts))
	for i, p := range parts {
		if txs[i] = p.Tx; p.Tx == nil {
			txs[i] = p.Checked.Tx()
		}
	}
	m.act(Built{j.id, parts, j.how})
	m.whole(j, txs)
}

// whole takes note that the body is known.
func (m *Machine) whole(j *job, txs []*wire.Transaction) {
	if txs == nil {
		txs = []*wire.Transaction{} // nil is not known
	}
	j.txs, j.draft, j.lost = txs, nil, false
	for _, a := range j.asks {
		if a.promised && len(a.places) > 0 {
			j.mate(a.to).owes = true
		}
	}
	m.end(j)
	for _, l := range m.links {
		t := j.mates[l.ID]
		if t == nil || t.barred {
			continue
		}
		if promised := t.waiting; promised != nil {
			t.waiting = nil
			m.answer(j, t, promised)
		}
		m.tellWhole(j, t)
	}
}

// giveUp leaves the block to the caller. Who was promised something is told that it will
// not come, so that nobody waits for us.
func (m *Machine) giveUp(j *job, why error) {
	m.act(GaveUp{j.id, fmt.Errorf("%w: block %s, %d of %d missing", why, j.id, j.draft.Open(), j.draft.Len())})
	m.end(j)
	j.lost = true
	for _, l := range m.links {
		if t := j.mates[l.ID]; t != nil && t.waiting != nil {
			m.send(l, &Fill{Block: j.id, ID: t.waiting.ID})
			t.waiting = nil
		}
	}
}

func (m *Machine) end(j *job) {
	j.debts = append(j.debts, j.asks...)
	if !j.over {
		m.weigh(j)
	}
	j.over, j.ends = true, m.now.Add(m.cfg.Keep)
	j.ended = m.now
	j.asks, j.askAt, j.stallAt = nil, time.Time{}, time.Time{}
	j.seeking = false
	for _, t := range j.mates {
		t.asked, t.lateAt = Bitmap{}, time.Time{}
	}
}
