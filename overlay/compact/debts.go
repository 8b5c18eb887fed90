package compact

import (
	"cmp"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// excuseEvery is how often a link is forgiven what it owes because its stream broke: a line
// that breaks more often is of no use, and who breaks it to owe nothing gains little.
const excuseEvery = 5 * time.Minute

// Excuse forgives a link what it owes now: the stream broke on which it would have come.
func (m *Machine) Excuse(now time.Time, id peerscore.PeerID) {
	l := m.linkOf(id)
	if l == nil || now.Before(l.excused.Add(excuseEvery)) && !l.excused.IsZero() {
		return
	}
	l.excused = now
	for _, j := range slices.Concat(m.order, m.owing) {
		if t := j.mates[id]; t != nil {
			t.excused = true
		}
	}
}

// maxOwing bounds the blocks of which only what is owed is kept: it is enough for a block
// every sixth of a second, and each costs some 200 bytes for each link.
const maxOwing = 32

// lend keeps of a block that was forgotten what is owed over it, until it would count.
func (m *Machine) lend(j *job) {
	j.draft, j.txs, j.pieces, j.coded = nil, nil, nil, nil
	if len(m.owing) >= maxOwing {
		m.owing = slices.Delete(m.owing, 0, 1)
	}
	m.owing = append(m.owing, j)
	m.collect()
}

// collects is when what is owed over a forgotten block counts.
func (m *Machine) collects(j *job) time.Time { return j.asked.Add(m.cfg.Owing) }

// collect settles what has been owed for long enough.
func (m *Machine) collect() {
	m.owing = slices.DeleteFunc(m.owing, func(j *job) bool {
		if m.now.Before(m.collects(j)) {
			return false
		}
		m.settle(j)
		return true
	})
}

// owed is the forgotten block over which f may pay what its sender owes; nil if there is
// none.
func (m *Machine) owed(f Frame) *job {
	switch f.(type) {
	case *Fill, *Chunk:
	default:
		return nil
	}
	if k := slices.IndexFunc(m.owing, func(j *job) bool { return j.id == f.Of() }); k >= 0 {
		return m.owing[k]
	}
	return nil
}

// fullLine is the part of all that is owed over a block that, coming long after the block was
// over, shows that our own line was full: what has not come by then may wait in the same
// queue. A withholder cannot bring it about alone, for it would have to give.
const fullLine = 4

// tardily takes note of what comes long after its block was over.
func (m *Machine) tardily(j *job) {
	if !m.now.Before(j.ended.Add(m.cfg.Owing / 2)) {
		j.tardy++
	}
}

// settle says what each link owed over a block that is forgotten now, long after the last
// was asked for, and what of it never came, however late.
func (m *Machine) settle(j *job) {
	var all []Settled
	owed := 0
	for _, l := range m.links {
		t := j.mates[l.ID]
		if t != nil && (t.barred || t.excused) {
			continue
		}
		var s Settled
		if t != nil {
			s = m.settled(j, t)
		}
		if s.Unpaid == 0 {
			l.forgive()
		}
		if s.Owed > 0 {
			all = append(all, s)
			owed += s.Owed
		}
	}
	full := j.tardy > 0 && j.tardy*fullLine >= owed
	for _, s := range all {
		if s.Unpaid == 0 || !full {
			m.act(s)
		}
	}
}

// settled is what one link owed over a block.
func (m *Machine) settled(j *job, t *mate) Settled {
	// A promise is void once the block came from elsewhere, but not that of one who said to
	// have it all: its answer was on the way. Others take theirs back when they give up, which
	// may be later than we did.
	hopeless := j.lost && !m.now.Before(j.ended.Add(m.cfg.Owing))
	s := Settled{Link: t.link.ID, Block: j.id}
	for _, a := range j.debts {
		if a.to == t.link {
			s.Owed++
			if a.empty || len(a.places) > 0 && (!a.promised || t.whole || hopeless) {
				s.Unpaid++
			}
		}
	}
	if owed := t.wanted.With(t.coming); !j.broken {
		s.Owed += owed.Count()
		s.Unpaid += owed.Without(t.got).Count()
	}
	return s
}

// paid takes note of an answer that came after the block had.
func (m *Machine) paid(j *job, t *mate, f *Fill) {
	k := slices.IndexFunc(j.debts, func(a *ask) bool { return a.id == f.ID && a.to == t.link })
	if k < 0 {
		return
	}
	m.tardily(j)
	a := j.debts[k]
	a.promised = f.More
	if !f.More {
		a.places = nil
		return
	}
	a.places = slices.DeleteFunc(a.places, func(i uint32) bool { _, ok := slices.BinarySearch(f.Places, i); return ok })
}

// Account is what one link owed over some blocks, and did not give.
type Account struct {
	Link   peerscore.PeerID
	Owed   int // answers and chunks
	Unpaid int // of these, what never came
	Blocks int // over which something never came
}

// Add books what a block left.
func (a *Account) Add(s Settled) {
	a.Owed += s.Owed
	a.Unpaid += s.Unpaid
	if s.Unpaid > 0 {
		a.Blocks++
	}
}

// Age halves what is booked, so that old sins do not add up.
func (a *Account) Age() {
	a.Owed, a.Unpaid = a.Owed/2, a.Unpaid/2
	a.Blocks = min(a.Blocks, a.Unpaid)
}

// Bounds of what is nobody's fault.
const (
	debtorOwed   = 3    // answers and chunks, or nothing can be said of shares
	debtorUnpaid = 3    // that never came
	debtorBlocks = 2    // over so many blocks
	debtorShare  = 0.2  // beyond four times the median's
	debtorPeers  = 4    // with fewer there is no median
	debtorOurs   = 0.05 // the median's share from which on it is our own line
	debtorAbove  = 4
)

// Withholders are the links, in the order given, that keep back what they owe while others
// give it. Nobody is one where the median link keeps back, too: then it is our own line, or
// we that stood still.
func Withholders(accounts []Account) []peerscore.PeerID {
	var shares []float64
	for _, a := range accounts {
		if a.Owed >= debtorOwed {
			shares = append(shares, float64(a.Unpaid)/float64(a.Owed))
		}
	}
	if len(shares) < debtorPeers {
		return nil
	}
	slices.SortFunc(shares, cmp.Compare[float64])
	median := shares[len(shares)/2]
	if median >= debtorOurs {
		return nil
	}
	var out []peerscore.PeerID
	for _, a := range accounts {
		if a.Owed < debtorOwed || a.Unpaid < debtorUnpaid || a.Blocks < debtorBlocks {
			continue
		}
		if float64(a.Unpaid)/float64(a.Owed) >= debtorShare+debtorAbove*median {
			out = append(out, a.Link)
		}
	}
	return out
}
