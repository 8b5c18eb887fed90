package recon

import (
	"math/rand/v2"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Initiator is the side of a session that opened the stream. It asks. It is not
// safe for concurrent use.
type Initiator struct {
	half
	rng   *rand.Rand // constant
	phase initiatorPhase

	until    time.Time // what the phase waits for, at the latest
	interval time.Duration
	oldAt    time.Time // when the session has had its time
	rtt      time.Duration
	paceAt   time.Time // when the next exchange would be on pace
	hurry    bool      // the next exchange is to be soon
	waits    bool      // the next exchange will want the large place, as far as we know
	hasty    bool      // this exchange does not wait for gossip
	again    bool      // this exchange left something for the next, which is to be soon

	// How far exchanges that left something told what the peer has, by short id and as it was
	// listed, and what we have. The next goes on from there.
	neededTo             Short
	learnedTo, offeredTo wire.TxID

	// hopes is what the last exchange told us, if nothing of it entered our set since; vain is
	// how much was told since something did, or nothing was lacking.
	hopes map[Short]struct{}
	vain  int
	soon  time.Time // when a rest ends if something does
	// offered is how much we told since the peer, which lacked as many as extra then, lacked
	// fewer.
	offered, extra int

	// during an exchange
	peeler *Peeler
	counts []uint8 // of the symbols of the difference
	theirs int     // the size of the peer's set
	guess  int     // the last estimate
	asked  int     // symbols asked for in all; 0 is as many as the peer thinks best
	limit  int     // symbols after which it is no use
	diff   Difference
	listed []wire.TxID
	total  int // of what is listed
	early  int // reported of what is listed before it is compared
	needs  map[Short]struct{}
	told   int  // of needs, when they were told
	fresh  bool // what they ask for was not told in vain so far
}

type initiatorPhase uint8

const (
	greets      initiatorPhase = iota // nothing happened yet
	greeted                           // awaits the peer's salt
	prepares                          // awaits the first Scan
	rests                             // until the next exchange
	opened                            // awaits the answer to an Open
	asksMore                          // awaits symbols
	asksAll                           // awaits ids
	lingers                           // for gossip to bring what differs
	looksAround                       // awaits a Scan
	told                              // awaits ids and the end
)

// NewInitiator makes the asking side of a session. Its first Step, with a Tick,
// says what to send. salt must be fresh: nobody may have seen it.
func NewInitiator(config Config, large *Large, salt Salt, rng *rand.Rand) (*Initiator, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	return &Initiator{half: half{config: config, large: large, asks: true, salt: salt}, rng: rng, interval: config.MinInterval}, nil
}

// Step feeds one event to the session, and appends to out what to do about it. A
// session that has ended does nothing.
func (i *Initiator) Step(now time.Time, ev Event, out []Action) []Action {
	if i.closed {
		return out
	}
	i.actions = out
	switch ev := ev.(type) {
	case Received:
		i.receive(now, ev.Frame)
	case Scanned:
		if ev.Scan == i.scan && ev.Scan.ran {
			i.scan = nil
			i.scanned(now, ev.Scan)
		}
	case Hasten:
		i.waits = i.waits || ev.Much
		i.hasten()
	case Tick:
	}
	i.tick(now)
	out, i.actions = i.actions, nil
	return out
}

// Next is when to feed a Tick at the latest, if there is such a time.
func (i *Initiator) Next() (time.Time, bool) {
	switch {
	case i.closed || i.phase == prepares:
		return time.Time{}, false
	case i.phase == looksAround || i.frozen != nil && i.endBy.Before(i.until):
		return i.endBy, true
	default:
		return i.until, true
	}
}

// Add tells the session that an id entered the set, which did not hold it.
func (i *Initiator) Add(id wire.TxID) {
	short := i.change(id, 1)
	if _, ok := i.hopes[short]; !ok || i.closed {
		return
	}
	i.hopes, i.vain, i.interval = nil, 0, i.config.MinInterval
	if i.phase == rests && i.soon.Before(i.until) {
		i.until = i.soon
	}
}

func (i *Initiator) hasten() {
	i.hurry = true
	if i.phase == rests {
		i.until = i.soonest()
	}
}

// soonest is when the next exchange may begin: up to hasteBurst of them come ahead of the
// pace.
func (i *Initiator) soonest() time.Time { return i.paceAt.Add(-hasteBurst * OpenGap) }

// tick does what is due.
func (i *Initiator) tick(now time.Time) {
	at, ok := i.Next()
	switch {
	case i.closed:
	case i.phase == greets:
		i.oldAt = now.Add(i.config.MaxAge)
		i.send(Greeting{i.salt})
		i.await(now, greeted)
	case i.frozen != nil && i.overrun:
		i.close(ErrOverrun)
	case !ok || now.Before(at):
	case i.phase == rests && !now.Before(i.oldAt):
		i.close(ErrAge)
	case i.phase == rests && i.waits && !i.ask(now):
		i.until = now.Add(max(largePoll, i.rtt)) // the near ask first, more often than not
	case i.phase == rests:
		i.open(now)
	case i.phase == lingers:
		i.resolve(now)
	default:
		i.late()
	}
}

// await waits for the peer.
func (i *Initiator) await(now time.Time, phase initiatorPhase) {
	i.phase, i.until = phase, now.Add(i.config.Answer)
}

// awaited says in which phases a frame may come in.
func (i *Initiator) awaited(f Frame) bool {
	switch f.(type) {
	case Greeting:
		return i.phase == greeted
	case Equal:
		return i.phase == opened
	case Busy:
		return i.phase == opened || i.phase == asksMore || i.phase == asksAll && len(i.listed) == 0
	case Symbols:
		return i.phase == opened || i.phase == asksMore
	case Listing:
		return i.phase == asksAll
	case IDs, Done:
		return i.phase == told
	default:
		return false
	}
}

func (i *Initiator) receive(now time.Time, f Frame) {
	if !i.awaited(f) {
		i.close(OutOfTurn)
		return
	}
	switch f := f.(type) {
	case Greeting:
		i.phase, i.rtt = prepares, now.Sub(i.oldAt.Add(-i.config.MaxAge))
		i.greet(f.Salt)
	case Equal:
		i.actions = append(i.actions, Compared{})
		i.vain = 0
		i.rest(now, false)
	case Busy:
		i.again, i.waits = true, true
		i.rest(now, false)
		i.until = later(now, i.soonest()).Add(time.Duration(i.rng.Int64N(int64(busyPause))))
	case Symbols:
		i.symbols(now, f)
	case Listing:
		i.listing(now, f)
	case IDs:
		i.ids(now, f)
	case Done:
		i.done(now)
	}
}

// scanned goes on with what waited for the Scan.
func (i *Initiator) scanned(now time.Time, s *Scan) {
	switch {
	case !i.ready:
		i.sketch.merge(s.size, s.symbols)
		i.ready, i.hurry = true, true
		i.phase, i.until = rests, now
	case s.symbols != nil:
		if !i.extendedTo(s) {
			i.close(ErrOutOfStep)
			return
		}
		i.more(now)
	case s.shared != nil:
		i.listDone(now, s)
	default:
		i.resolved(now, s)
	}
}

func (i *Initiator) open(now time.Time) {
	if !i.freeze(now) {
		return
	}
	i.paceAt = later(now, i.paceAt).Add(OpenGap)
	i.hasty, i.hurry, i.waits = i.hurry, false, false
	i.peeler, i.asked, i.counts = NewPeeler(i.key), 0, nil
	f := Open{Size: i.size, Sum: i.frozen[0].Sum, Check: i.frozen[0].Check}
	for j := range f.Counts {
		f.Counts[j] = i.frozen[1+j].Count
	}
	i.send(f)
	i.await(now, opened)
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// rest ends an exchange and waits for the next; useful says that this one told us
// something, and not in vain as far as we know.
func (i *Initiator) rest(now time.Time, useful bool) {
	i.release(now)
	i.thaw()
	i.peeler, i.counts, i.listed, i.needs = nil, nil, nil, nil
	i.diff = Difference{}
	if useful || i.again {
		i.interval = i.config.MinInterval
	} else {
		i.interval = min(i.config.MaxInterval, i.interval*3/2)
	}
	i.again = false
	jitter := time.Duration(i.rng.Int64N(int64(i.interval/4) + 1))
	pause := max(i.interval*3/4, i.config.MinInterval) + jitter
	i.phase, i.until = rests, now.Add(min(pause, i.config.MaxInterval))
	i.soon = now.Add(i.config.MinInterval + min(jitter, i.config.MinInterval/4))
	if i.hurry {
		i.hasten()
	}
}
