package recon

import (
	"bytes"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Event is what happens to a session: Received, Scanned, Tick or, for an
// Initiator, Hasten.
type Event interface{ event() }

type (
	// Received is a frame from the peer.
	Received struct{ Frame Frame }
	// Scanned gives back a Scan that ran.
	Scanned struct{ Scan *Scan }
	// Tick says that time has passed; see Next.
	Tick struct{}
	// Hasten asks for an exchange as soon as may be: after much was fetched, say.
	Hasten struct {
		Much bool // differs, as far as we know: enough for a large exchange
	}
)

func (Received) event() {}
func (Scanned) event()  {}
func (Tick) event()     {}
func (Hasten) event()   {}

// Action is what a session wants done, in this order: Send, RunScan, Learned, Listed,
// Compared or Close.
type Action interface{ action() }

type (
	// Send is a frame to be sent. Frames must arrive in order.
	Send struct{ Frame Frame }
	// RunScan is a Scan to be run. The set is the one at this moment: it must be
	// held fast before the next Add or Remove.
	RunScan struct{ Scan *Scan }
	// Learned are ids that the peer says it has and, from what it or we have seen, we
	// lack: announcements. Some may have come in by now.
	Learned struct{ IDs []wire.TxID }
	// Listed are ids that the peer says it has, as many as one exchange tells. We may have
	// them: which of them we lack, Learned tells when all are listed. Who looks for himself
	// can fetch them until then.
	Listed struct{ IDs []wire.TxID }
	// Compared ends an exchange that found out what differed: how many ids only the
	// peer had, and how many only we.
	Compared struct{ Theirs, Ours int }
	// Close ends the session: the stream is to be closed. Err is, or wraps, a Fault if the
	// peer is to blame, and ErrAge, ErrOverrun or ErrOutOfStep if not.
	Close struct{ Err error }
)

func (Send) action()     {}
func (RunScan) action()  {}
func (Learned) action()  {}
func (Listed) action()   {}
func (Compared) action() {}
func (Close) action()    {}

// Large is the one place for a large exchange that all sessions of a node share:
// one that needs more than Live symbols or Live plain ids, or tells more than
// MaxSmall ids. The zero value is free. It belongs to the goroutine that steps
// the sessions.
type Large struct {
	holder *half
	asking []asker // at most maxAsking
	kept   bool
	// waits is since when sessions that we opened want the place and a peer has it, wanted when
	// they did so last; zero if they do not.
	waits, wanted time.Time
}

// owed says whether the place is left to sessions that we opened: peers had it for long enough.
func (l *Large) owed(now time.Time, patience time.Duration) bool {
	return !l.waits.IsZero() && now.Sub(l.waits) >= patience && now.Sub(l.wanted) < wantFor
}

// asker is a session that asks its peer for a large exchange.
type asker struct {
	*half
	since time.Time
}

// Keep says whether what a large exchange told is still being fetched. Until it is
// not, nobody takes the place: others would tell the same once more. For how long
// at the most is up to the caller, since it is peers who decide when they answer.
func (l *Large) Keep(busy bool) { l.kept = busy }

// half is what the two sides of a session have in common.
type half struct {
	config Config // constant
	large  *Large // constant
	asks   bool   // we opened the session; constant

	salt    Salt
	key     Key
	sketch  *Sketch // nil until the key is known
	recent  recent  // what Add told last
	ready   bool    // the sketch holds the whole set
	closed  bool
	scan    *Scan // the one that is out, if any
	actions []Action

	// during an exchange
	endBy    time.Time
	size     int      // of the set at its beginning
	frozen   []Symbol // of the set at its beginning; nil between exchanges
	extended bool     // frozen goes to MaxSymbols
	journal  []change // since its beginning
	overrun  bool     // the journal is full
	holdFrom time.Time
	// holdAfter is when this session may take the large place again: it leaves it to
	// others for as long as it had it.
	holdAfter time.Time
	left      time.Time // until when Leave keeps it from the large place
}

// Add tells the session that an id entered the set, which did not hold it.
func (h *half) Add(id wire.TxID) { h.change(id, 1) }

// Remove tells the session that an id left the set.
func (h *half) Remove(id wire.TxID) { h.change(id, -1) }

func (h *half) change(id wire.TxID, sign int8) (short Short) {
	if h.sketch == nil || h.closed {
		return 0
	}
	if short = h.sketch.change(id, sign); sign > 0 {
		h.recent.add(short, id)
	} else {
		h.recent.remove(short)
	}
	switch {
	case h.frozen == nil:
	case len(h.journal) == maxJournal:
		h.overrun = true
	default:
		h.journal = append(h.journal, change{id, sign})
	}
	return short
}

// Leave keeps the session from large exchanges until then, for what would be told is of no
// use to the peer yet. The zero time ends that.
func (h *half) Leave(until time.Time) { h.left = until }

// End gives up the session, for instance because its stream broke. Every later
// Step closes it again.
func (h *half) End() {
	h.closed = true
	h.release(h.endBy)
	h.thaw()
	h.sketch, h.scan = nil, nil
}

func (h *half) send(f Frame) { h.actions = append(h.actions, Send{f}) }

func (h *half) close(err error) {
	h.End()
	h.actions = append(h.actions, Close{err})
}

// greet makes the key, and has the first symbols counted.
func (h *half) greet(theirs Salt) {
	h.key = NewKey(h.salt, theirs)
	h.sketch = NewSketch(h.key)
	h.start(&Scan{key: h.key, symbols: make([]Symbol, Live)})
}

func (h *half) start(s *Scan) {
	h.scan = s
	h.actions = append(h.actions, RunScan{s})
}

// freeze begins an exchange: it is about the set as it is now. It closes the
// session if the set is none to exchange.
func (h *half) freeze(now time.Time) bool {
	h.endBy = now.Add(h.config.Exchange)
	h.size = h.sketch.Size()
	switch {
	case h.size < 0:
		h.close(ErrOutOfStep)
		return false
	case h.size > MaxSize:
		h.close(ErrTooLarge)
		return false
	}
	h.frozen = slices.Clone(h.sketch.Symbols())
	h.journal = nil
	return true
}

// late closes a session that took too long over something.
func (h *half) late() {
	if h.scan != nil {
		h.close(ErrLate)
		return
	}
	h.close(Stalled)
}

// thaw ends an exchange.
func (h *half) thaw() {
	h.frozen, h.journal = nil, nil
	h.extended, h.overrun = false, false
}

// hold takes the large place, if it is free.
func (h *half) hold(now time.Time) bool {
	switch {
	case h.large.holder == h:
		return true
	case !h.mayHold(now):
		return false
	}
	h.large.holder, h.holdFrom = h, now
	if h.asks {
		h.large.waits = time.Time{}
	}
	return true
}

// mayHold says whether the place is this session's to take. A peer that had it for as long as one
// of our own waited gives it up.
func (h *half) mayHold(now time.Time) bool {
	l := h.large
	switch {
	case l.kept, now.Before(h.holdAfter), now.Before(h.left):
		return false
	case l.holder != nil:
		if h.asks && !l.holder.asks {
			if l.waits.IsZero() || now.Sub(l.wanted) >= wantFor {
				l.waits = now
			}
			l.wanted = now
			if l.owed(now, h.config.Answer) {
				l.holder.release(now) // its exchange may go on, as far as that needs no place
				return true
			}
		}
		return false
	default:
		return h.asks || !l.owed(now, h.config.Answer)
	}
}

// ask says whether this session may ask its peer for a large exchange now. Who asks does not
// hold the place yet: if all did, everybody would find everybody busy.
func (h *half) ask(now time.Time) bool {
	if !h.mayHold(now) {
		return false
	}
	asking := slices.DeleteFunc(h.large.asking, func(o asker) bool { return o.half == h || now.Sub(o.since) >= askFor })
	h.large.asking = asking
	if len(asking) >= maxAsking {
		return false
	}
	h.large.asking = append(asking, asker{h, now})
	return true
}

// release gives the place back, and asks no more.
func (h *half) release(now time.Time) {
	h.large.asking = slices.DeleteFunc(h.large.asking, func(o asker) bool { return o.half == h })
	if h.large.holder == h {
		h.large.holder = nil
		h.holdAfter = now.Add(now.Sub(h.holdFrom))
	}
}

// extend has the symbols beyond the first ones counted.
func (h *half) extend() {
	h.start(&Scan{key: h.key, symbols: make([]Symbol, MaxSymbols), undo: slices.Clone(h.journal)})
}

// extendedTo takes the symbols that extend asked for. That the first ones come
// out as they were kept is the proof that scans and changes tell of one set.
func (h *half) extendedTo(s *Scan) bool {
	if s.size != h.size || !slices.Equal(s.symbols[:Live], h.frozen[:Live]) {
		return false
	}
	h.frozen, h.extended = s.symbols, true
	return true
}

// changed returns the short ids of what entered or, for sign −1, left the set
// during the exchange.
func (h *half) changed(sign int8) map[Short]bool {
	m := map[Short]bool{}
	for _, c := range h.journal {
		if c.sign == sign {
			m[h.key.Short(c.id)] = true
		}
	}
	return m
}

// sendIDs tells the peer ids that it lacks.
func (h *half) sendIDs(ids []wire.TxID) {
	for chunk := range slices.Chunk(ids, MaxIDs) {
		h.send(IDs{chunk})
	}
}

// set is the want of a Scan.
func set(shorts []Short) map[Short]struct{} {
	m := make(map[Short]struct{}, len(shorts))
	for _, s := range shorts {
		m[s] = struct{}{}
	}
	return m
}

func compareIDs(a, b wire.TxID) int { return bytes.Compare(a[:], b[:]) }
