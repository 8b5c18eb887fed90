package recon

import (
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Responder is the side of a session that did not open the stream. It answers.
// It is not safe for concurrent use.
type Responder struct {
	half
	phase responderPhase

	openBy time.Time // when the next Open would be on pace
	heard  time.Time // the last frame

	pending Frame // waits for the Scan that is out
	sent    int   // symbols
	listing []wire.TxID
	needs   []Short
	offered int
}

type responderPhase uint8

const (
	awaitsGreeting  responderPhase = iota
	awaitsOpen                     // between exchanges
	awaitsMore                     // symbols were sent
	awaitsMoreIDs                  // ids were listed
	awaitsDone                     // the initiator tells what it needs and offers
	awaitsOwnScan                  // nothing may come in
	awaitsFirstScan                // an Open may come in, and waits
)

// NewResponder makes the answering side of a session. It has nothing to do
// before the first frame. salt must be fresh: nobody may have seen it.
func NewResponder(config Config, large *Large, salt Salt) (*Responder, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	return &Responder{half: half{config: config, large: large, salt: salt}}, nil
}

// Step feeds one event to the session, and appends to out what to do about it. A
// session that has ended does nothing.
func (r *Responder) Step(now time.Time, ev Event, out []Action) []Action {
	if r.closed {
		return out
	}
	r.actions = out
	switch ev := ev.(type) {
	case Received:
		r.heard = now
		r.receive(now, ev.Frame)
	case Scanned:
		if ev.Scan == r.scan && ev.Scan.ran {
			r.scan, r.heard = nil, now
			r.scanned(now, ev.Scan)
		}
	case Tick, Hasten:
	}
	switch {
	case r.closed || r.frozen == nil:
	case r.overrun:
		r.close(ErrOverrun)
	case !now.Before(r.endBy):
		r.late()
	case r.idles() && !now.Before(r.heard.Add(r.config.Answer)):
		r.release(now) // it may go on, and take the place again if it is free
	}
	out, r.actions = r.actions, nil
	return out
}

// Next is when to feed a Tick at the latest, if there is such a time.
func (r *Responder) Next() (time.Time, bool) {
	at := r.endBy
	if by := r.heard.Add(r.config.Answer); r.idles() && by.Before(at) {
		at = by
	}
	return at, !r.closed && r.frozen != nil
}

// idles says whether the large place waits for a frame of the peer.
func (r *Responder) idles() bool { return r.large.holder == &r.half && r.scan == nil }

// turn says in which phases a frame may come in.
func turn(f Frame, phase responderPhase) bool {
	switch f.(type) {
	case Greeting:
		return phase == awaitsGreeting
	case Open:
		return phase == awaitsOpen || phase == awaitsFirstScan
	case More:
		return phase == awaitsMore
	case All:
		return phase == awaitsMore || phase == awaitsMoreIDs
	case Need, IDs, Done:
		return phase == awaitsMore || phase == awaitsMoreIDs || phase == awaitsDone
	default:
		return false
	}
}

func (r *Responder) receive(now time.Time, f Frame) {
	if !turn(f, r.phase) || r.phase == awaitsFirstScan && r.pending != nil {
		r.close(OutOfTurn)
		return
	}
	switch f := f.(type) {
	case Greeting:
		r.send(Greeting{r.salt})
		r.greet(f.Salt)
		r.phase = awaitsFirstScan
	case Open:
		if r.phase == awaitsFirstScan {
			r.pending = f
			return
		}
		r.open(now, f)
	case More:
		r.more(now, f)
	case All:
		r.all(now, f)
	case Need:
		r.phase = awaitsDone
		if len(f.Shorts) > maxTold-len(r.needs) {
			r.close(BadRange)
			return
		}
		r.needs = append(r.needs, f.Shorts...)
	case IDs:
		r.phase = awaitsDone
		if len(f.IDs) > maxTold-r.offered {
			r.close(BadRange)
			return
		}
		r.offered += len(f.IDs)
		r.actions = append(r.actions, Learned(f))
	case Done:
		r.told(now)
	}
}

// scanned goes on with what waited for the Scan.
func (r *Responder) scanned(now time.Time, s *Scan) {
	f := r.pending
	r.pending = nil
	switch {
	case !r.ready:
		r.sketch.merge(s.size, s.symbols)
		r.ready, r.phase = true, awaitsOpen
		if open, ok := f.(Open); ok {
			r.open(now, open)
		}
	case s.list:
		r.listing = s.found
		r.list(f.(All).From)
	case s.symbols != nil:
		if !r.extendedTo(s) {
			r.close(ErrOutOfStep)
			return
		}
		r.answer(f.(More).Upto)
	default:
		r.answerNeeds(now, s.found[:min(len(s.found), maxTold)])
	}
}

// answerNeeds ends an exchange in which something differed.
func (r *Responder) answerNeeds(now time.Time, ids []wire.TxID) {
	r.sendIDs(ids)
	r.send(Done{})
	r.end(now)
}

func (r *Responder) open(now time.Time, f Open) {
	if r.openBy.Sub(now) > OpenBurst*OpenGap {
		r.close(TooOften)
		return
	}
	if r.openBy.Before(now) {
		r.openBy = now
	}
	r.openBy = r.openBy.Add(OpenGap)
	if !r.freeze(now) {
		return
	}
	mine := r.frozen
	if f.Size == r.size && f.Sum == mine[0].Sum && f.Check == mine[0].Check {
		r.send(Equal{})
		r.end(now)
		return
	}
	var counts [1 + OpenCounts]uint8
	for i, c := range f.Counts {
		counts[1+i] = mine[1+i].Count - c
	}
	d := Estimate(counts[:], r.size-f.Size)
	if d > 2*MaxSmall && !r.hold(now) { // estimates are often half as much too high
		r.busy(now)
		return
	}
	r.answer(firstAnswer(d))
}

func (r *Responder) more(now time.Time, f More) {
	switch {
	case f.Upto <= r.sent || f.Upto > r.sent+MaxChunk:
		r.close(BadRange)
	case f.Upto <= Live || r.extended:
		r.answer(f.Upto)
	case !r.hold(now):
		r.busy(now)
	default:
		r.pending, r.phase = f, awaitsOwnScan
		r.extend()
	}
}

func (r *Responder) answer(upto int) {
	r.send(Symbols{Size: r.size, From: r.sent, Symbols: slices.Clone(r.frozen[r.sent:upto])})
	r.sent, r.phase = upto, awaitsMore
}

func (r *Responder) all(now time.Time, f All) {
	switch {
	case r.phase == awaitsMoreIDs && f.From < len(r.listing):
		r.list(f.From)
	case r.phase == awaitsMoreIDs || f.From != 0:
		r.close(BadRange)
	case r.sketch.Size() > Live && !r.hold(now):
		r.busy(now)
	default:
		r.pending, r.phase = f, awaitsOwnScan
		r.start(&Scan{key: r.key, list: true})
	}
}

func (r *Responder) list(from int) {
	r.phase = awaitsMoreIDs
	to := min(len(r.listing), from+listWindow*MaxIDs)
	for at := from; at == from || at < to; at += MaxIDs {
		r.send(Listing{Total: len(r.listing), From: at, IDs: r.listing[at:min(to, at+MaxIDs)]})
	}
}

// told ends the initiator's part of telling.
func (r *Responder) told(now time.Time) {
	if ids, ok := r.recent.find(r.needs); ok {
		r.answerNeeds(now, ids)
		return
	}
	r.phase = awaitsOwnScan
	r.start(&Scan{key: r.key, want: set(r.needs)})
}

func (r *Responder) busy(now time.Time) {
	r.send(Busy{})
	r.end(now)
}

func (r *Responder) end(now time.Time) {
	r.release(now)
	r.thaw()
	r.phase, r.sent, r.offered = awaitsOpen, 0, 0
	r.listing, r.needs = nil, nil
}
