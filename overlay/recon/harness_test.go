package recon_test

import (
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/recon"
	"github.com/grapevine-p2p/grapevine/wire"
)

// epoch is when every test begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type session interface {
	Step(now time.Time, ev recon.Event, out []recon.Action) []recon.Action
	Next() (time.Time, bool)
	Add(id wire.TxID)
	Remove(id wire.TxID)
	End()
}

// side is one node with its set and its end of the session.
type side struct {
	session
	set      map[wire.TxID]bool
	learned  []wire.TxID
	listed   int
	compared []recon.Compared
	scans    int
	closed   error
	ended    bool
}

func (s *side) add(id wire.TxID) {
	if !s.set[id] {
		s.set[id] = true
		s.Add(id)
	}
}

func (s *side) remove(id wire.TxID) {
	if s.set[id] {
		delete(s.set, id)
		s.Remove(id)
	}
}

// pair is two sides and the line between them, in virtual time.
type pair struct {
	t        testing.TB
	now      time.Time
	oneWay   time.Duration
	scanTime time.Duration
	asks     *side
	answers  *side
	queue    []happening // in order of time, then of origin
	// frames and sent count what asks and answers sent since the pair began, with
	// the two bytes or so that delimit a frame.
	frames, sent [2]int
	told         [2]int // of sent: needs and ids
	spy          func(from int, f recon.Frame)
	tamper       func(from int, f recon.Frame) []recon.Frame // what goes over the line instead
	keen         bool                                        // what is learned is fetched at once
}

type happening struct {
	at time.Time
	to *side
	ev recon.Event
}

// countOpened counts the exchanges that are opened from now on. It takes the spy's place.
func (p *pair) countOpened() *int {
	opened := new(int)
	p.spy = func(_ int, f recon.Frame) {
		if _, ok := f.(recon.Open); ok {
			*opened++
		}
	}
	return opened
}

func newPair(t testing.TB, config recon.Config, seed uint64) *pair {
	rng := rand.New(rand.NewPCG(seed, 1))
	var salts [2]recon.Salt
	for i := range salts {
		for j := range salts[i] {
			salts[i][j] = byte(rng.Uint32())
		}
	}
	asks, err := recon.NewInitiator(config, &recon.Large{}, salts[0], rng)
	require.NoError(t, err)
	answers, err := recon.NewResponder(config, &recon.Large{}, salts[1])
	require.NoError(t, err)
	return &pair{
		t:        t,
		now:      epoch,
		oneWay:   50 * time.Millisecond,
		scanTime: 10 * time.Millisecond,
		asks:     &side{session: asks, set: map[wire.TxID]bool{}},
		answers:  &side{session: answers, set: map[wire.TxID]bool{}},
	}
}

func (p *pair) step(s *side, ev recon.Event) {
	from, to := 0, p.answers
	if s == p.answers {
		from, to = 1, p.asks
	}
	for _, a := range s.Step(p.now, ev, nil) {
		switch a := a.(type) {
		case recon.Send:
			b := recon.Encode(nil, a.Frame)
			f, err := recon.Decode(b)
			require.NoError(p.t, err, "%T", a.Frame)
			size := len(b) + 1
			if len(b) >= 128 {
				size++
			}
			p.frames[from]++
			p.sent[from] += size
			switch f.(type) {
			case recon.Need, recon.IDs:
				p.told[from] += size
			}
			if p.spy != nil {
				p.spy(from, f)
			}
			through := []recon.Frame{f}
			if p.tamper != nil {
				through = p.tamper(from, f)
			}
			for _, f := range through {
				p.push(happening{p.now.Add(p.oneWay), to, recon.Received{Frame: f}})
			}
		case recon.RunScan:
			s.scans++
			a.Scan.Run(ids(s.set))
			p.push(happening{p.now.Add(p.scanTime), s, recon.Scanned(a)})
		case recon.Learned:
			s.learned = append(s.learned, a.IDs...)
			if p.keen {
				for _, id := range a.IDs {
					s.add(id)
				}
			}
		case recon.Listed:
			s.listed += len(a.IDs)
		case recon.Compared:
			s.compared = append(s.compared, a)
		case recon.Close:
			s.closed, s.ended = a.Err, true
			require.Error(p.t, a.Err)
		}
	}
}

func (p *pair) push(h happening) {
	i := len(p.queue)
	for i > 0 && p.queue[i-1].at.After(h.at) {
		i--
	}
	p.queue = slices.Insert(p.queue, i, h)
}

// run lets time pass until what is done, or for the time given.
func (p *pair) run(d time.Duration, done func() bool) {
	end := p.now.Add(d)
	p.step(p.asks, recon.Tick{})
	for !done() {
		next := end
		if len(p.queue) > 0 && p.queue[0].at.Before(next) {
			next = p.queue[0].at
		}
		for _, s := range []*side{p.asks, p.answers} {
			if at, ok := s.Next(); ok && at.Before(next) {
				next = at
			}
		}
		if next.After(p.now) {
			p.now = next
		}
		if !p.now.Before(end) {
			return
		}
		if len(p.queue) > 0 && !p.queue[0].at.After(p.now) {
			h := p.queue[0]
			p.queue = p.queue[1:]
			p.step(h.to, h.ev)
			continue
		}
		p.step(p.asks, recon.Tick{})
		p.step(p.answers, recon.Tick{})
	}
}

// exchange runs until the initiator has compared once more.
func (p *pair) exchange() recon.Compared {
	n := len(p.asks.compared)
	p.run(time.Minute, func() bool { return len(p.asks.compared) > n || p.asks.ended || p.answers.ended })
	require.NoError(p.t, p.asks.closed)
	require.NoError(p.t, p.answers.closed)
	require.Len(p.t, p.asks.compared, n+1, "no exchange in a minute")
	p.run(3*p.oneWay, func() bool { return false }) // the rest of it
	return p.asks.compared[n]
}

func never() bool { return false }

func ids(set map[wire.TxID]bool) iter.Seq[wire.TxID] { return maps.Keys(set) }

func randomID(rng *rand.Rand) (id wire.TxID) {
	for i := range id {
		id[i] = byte(rng.Uint32())
	}
	return id
}

// fill gives both sides shared ids, and each as many of its own.
func (p *pair) fill(rng *rand.Rand, shared, asks, answers int) {
	for i := range shared + asks + answers {
		id := randomID(rng)
		if i < shared+asks {
			p.asks.add(id)
		}
		if i < shared || i >= shared+asks {
			p.answers.add(id)
		}
	}
}

// repair gives each side what it learned, and forgets that it did.
func (p *pair) repair() {
	for _, s := range []*side{p.asks, p.answers} {
		for _, id := range s.learned {
			s.add(id)
		}
		s.learned = nil
	}
}
