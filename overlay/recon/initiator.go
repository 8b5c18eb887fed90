package recon

import (
	"math/rand/v2"
	"slices"
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
	openedAt time.Time
	hasty    bool // the next exchange does not wait for gossip
	again    bool // this exchange left something for the next

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
	needs  map[Short]struct{}
	told   int // of needs, when they were told
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
	return &Initiator{half: half{config: config, large: large, salt: salt}, rng: rng, interval: config.MinInterval}, nil
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

func (i *Initiator) hasten() {
	i.hasty = true
	if i.phase == rests {
		i.until = i.openedAt.Add(OpenGap)
	}
}

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

func (i *Initiator) receive(now time.Time, f Frame) {
	switch f := f.(type) {
	case Greeting:
		if i.phase == greeted {
			i.phase = prepares
			i.greet(f.Salt)
			return
		}
	case Equal:
		if i.phase == opened {
			i.actions = append(i.actions, Compared{})
			i.rest(now, false)
			return
		}
	case Busy:
		if i.phase == opened || i.phase == asksMore || i.phase == asksAll && len(i.listed) == 0 {
			i.again = true
			i.rest(now, false)
			return
		}
	case Symbols:
		if i.phase == opened || i.phase == asksMore {
			i.symbols(now, f)
			return
		}
	case Listing:
		if i.phase == asksAll {
			i.listing(now, f)
			return
		}
	case IDs:
		if i.phase == told {
			i.ids(now, f)
			return
		}
	case Done:
		if i.phase == told {
			i.done(now)
			return
		}
	case Open, More, All, Need:
	}
	i.close(OutOfTurn)
}

// scanned goes on with what waited for the Scan.
func (i *Initiator) scanned(now time.Time, s *Scan) {
	switch {
	case !i.ready:
		i.sketch.merge(s.size, s.symbols)
		i.ready, i.hasty = true, true
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
	i.openedAt = now
	i.peeler, i.asked, i.counts = NewPeeler(i.key), 0, nil
	f := Open{Size: i.size, Sum: i.frozen[0].Sum, Check: i.frozen[0].Check}
	for j := range f.Counts {
		f.Counts[j] = i.frozen[1+j].Count
	}
	i.send(f)
	i.await(now, opened)
}

// rest ends an exchange and waits for the next; useful says that this one told us
// something.
func (i *Initiator) rest(now time.Time, useful bool) {
	i.release(now)
	i.thaw()
	i.peeler, i.counts, i.listed, i.needs = nil, nil, nil, nil
	i.diff, i.hasty = Difference{}, false
	if useful || i.again {
		i.interval = i.config.MinInterval
	} else {
		i.interval = min(i.config.MaxInterval, i.interval*3/2)
	}
	i.again = false
	jitter := time.Duration(i.rng.Int64N(int64(i.interval/2) + 1))
	i.phase, i.until = rests, now.Add(i.interval*3/4+jitter)
}

// symbols takes an answer, and decides how to go on.
func (i *Initiator) symbols(now time.Time, f Symbols) {
	have := i.peeler.Len()
	to := have + len(f.Symbols)
	if f.From != have || i.asked == 0 && to > Live || i.asked != 0 && (to != i.asked || f.Size != i.theirs) {
		i.close(BadRange)
		return
	}
	ours := i.frozen[have:to]
	for j, s := range f.Symbols {
		i.counts = append(i.counts, s.Count-ours[j].Count)
	}
	done, err := i.peeler.Add(f.Symbols, ours)
	i.theirs = f.Size
	switch {
	case err != nil:
		i.close(err)
	case done:
		i.diff = i.peeler.Difference()
		i.linger(now)
	default:
		i.choose(now)
	}
}

// choose goes on with symbols or with plain ids, whichever costs less. It counts
// what tells the ids, for symbols do not.
func (i *Initiator) choose(now time.Time) {
	have := i.peeler.Len()
	d := Estimate(i.counts, i.theirs-i.size)
	i.guess = d
	if i.asked == 0 {
		i.limit = min(MaxSymbols, maxGuess*needed(d)+guessMargin)
	}
	next := min(nextTotal(have, d), have+MaxChunk)
	theirs := (d + i.theirs - i.size) / 2
	bySymbols := (max(next, needed(d))-have)*SymbolSize + theirs*(8+len(wire.TxID{}))
	switch {
	case needed(d) > MaxSymbols || have == MaxSymbols || i.theirs*len(wire.TxID{}) < bySymbols:
		i.all(now)
	case have >= i.limit:
		i.close(Undecodable)
	default:
		i.asked = min(next, i.limit)
		i.more(now)
	}
}

// more asks for symbols up to i.asked, once we have ours.
func (i *Initiator) more(now time.Time) {
	switch {
	case i.asked <= Live || i.extended:
		i.send(More{i.asked})
		i.await(now, asksMore)
	case !i.hold(now):
		i.later(now)
	default:
		i.phase = looksAround
		i.extend()
	}
}

func (i *Initiator) all(now time.Time) {
	if i.theirs > Live && !i.hold(now) {
		i.later(now)
		return
	}
	i.total = -1
	i.send(All{})
	i.await(now, asksAll)
}

// later leaves it at what is known: another exchange has the large place.
func (i *Initiator) later(now time.Time) {
	i.again = true
	i.tell(now, nil, nil)
}

// listing takes a part of the peer's ids.
func (i *Initiator) listing(now time.Time, f Listing) {
	if i.total < 0 {
		i.total = f.Total
	}
	have := len(i.listed)
	want := min(i.total-have, MaxIDs)
	moved := f.Total - i.theirs // since its symbols
	if f.Total != i.total || max(moved, -moved) > maxJournal || f.From != have || len(f.IDs) != want || !i.rising(f.IDs) {
		i.close(BadRange)
		return
	}
	i.listed = append(i.listed, f.IDs...)
	have = len(i.listed)
	i.await(now, asksAll)
	switch {
	case have == i.total:
		i.phase = looksAround
		i.start(&Scan{key: i.key, listed: i.listed, shared: make([]bool, have)})
	case have%(listWindow*MaxIDs) == 0:
		i.send(All{have})
	}
}

// rising reports whether the ids follow those listed, each above the last.
func (i *Initiator) rising(ids []wire.TxID) bool {
	last := i.listed
	for j := range ids {
		if len(last) > 0 && compareIDs(last[len(last)-1], ids[j]) >= 0 {
			return false
		}
		last = ids[:j+1]
	}
	return true
}

func (i *Initiator) listDone(now time.Time, s *Scan) {
	var lacking []wire.TxID
	for j, id := range i.listed {
		if !s.shared[j] {
			lacking = append(lacking, id)
		}
	}
	compared := Compared{Theirs: len(lacking), Ours: s.size - (len(i.listed) - len(lacking))}
	if i.guess > maxGuess*(compared.Theirs+compared.Ours+len(i.journal))+guessMargin {
		i.close(Undecodable) // so many differences there are not: the symbols were none
		return
	}
	i.actions = append(i.actions, compared)
	if len(lacking) > 0 {
		i.actions = append(i.actions, Learned{lacking[:min(len(lacking), maxTold)]})
		i.again = true
	}
	i.tell(now, nil, s.found)
}

// linger gives gossip its time to bring what differs, unless there is much of it.
func (i *Initiator) linger(now time.Time) {
	if i.hasty || i.config.Grace == 0 || i.peeler.Len() > Live {
		i.resolve(now)
		return
	}
	i.phase, i.until = lingers, now.Add(i.config.Grace)
}

// resolve finds the ids of what only we have.
func (i *Initiator) resolve(now time.Time) {
	if len(i.diff.Ours) == 0 {
		i.compared()
		i.tell(now, i.diff.Theirs, nil)
		return
	}
	i.phase = looksAround
	i.start(&Scan{key: i.key, want: set(i.diff.Ours)})
}

// compared takes out what came in meanwhile, and reports.
func (i *Initiator) compared() {
	came := i.changed(1)
	i.diff.Theirs = slices.DeleteFunc(i.diff.Theirs, func(s Short) bool { return came[s] })
	i.actions = append(i.actions, Compared{Theirs: len(i.diff.Theirs), Ours: len(i.diff.Ours)})
}

func (i *Initiator) resolved(now time.Time, s *Scan) {
	missing := set(i.diff.Ours)
	for _, id := range s.found {
		delete(missing, i.key.Short(id))
	}
	for short := range i.changed(-1) {
		delete(missing, short)
	}
	if len(missing) > 0 {
		i.close(Invented)
		return
	}
	i.compared()
	i.tell(now, i.diff.Theirs, s.found)
}

// tell asks for ids, offers ids, and ends our part of the exchange.
func (i *Initiator) tell(now time.Time, needs []Short, offers []wire.TxID) {
	if len(needs) > maxTold || len(offers) > maxTold {
		needs, offers = needs[:min(len(needs), maxTold)], offers[:min(len(offers), maxTold)]
		i.again = true
	}
	for chunk := range slices.Chunk(needs, MaxNeeds) {
		i.send(Need{chunk})
	}
	i.needs, i.told = set(needs), len(needs)
	i.sendIDs(offers)
	i.send(Done{})
	i.await(now, told)
}

// ids takes ids that were needed. That they have the short ids asked for is sure
// before anything is done with them.
func (i *Initiator) ids(now time.Time, f IDs) {
	for _, id := range f.IDs {
		short := i.key.Short(id)
		if _, ok := i.needs[short]; !ok {
			i.close(NotAsked)
			return
		}
		delete(i.needs, short)
	}
	i.actions = append(i.actions, Learned(f))
	i.await(now, told)
}

func (i *Initiator) done(now time.Time) {
	if len(i.needs) > withheldMargin+i.told/2 {
		i.close(Withheld)
		return
	}
	i.rest(now, i.told > len(i.needs))
}
