package overlay

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// pullWaiters bounds the peers that are noted to have a message beside the one that is
	// asked. Routers announce a message three times; who is not noted is so at the next.
	pullWaiters = 4
	// pullTrust is how many questions in a row a peer may leave open before others are
	// asked at the same time: a peer that announces what it does not send must not hold up
	// those who do.
	pullTrust = 8
	// pullAsks is how often a peer may ask for one message: routers announce it three times.
	pullAsks = 3

	// pullAtFirst is how many messages a peer is asked for at once that has answered no
	// question yet, and pullMore how many more for each that it has. A list of the longest
	// sort is asked for whole after six hundred.
	pullAtFirst, pullMore = 256, 8
	// pullPast bounds the messages of which is remembered, twice, that they came: those of
	// two minutes at 500 a second. What a line held back for so long is not strange.
	pullPast = 1 << 16
	// pullInDoubt is the same for one that left pullTrust questions in a row open.
	pullInDoubt = 16
)

// pulls is what one instance knows of messages that are announced and asked for. Of several
// peers that announce a message one is asked at a time, so that it is sent once. Times are
// arguments; it is safe for concurrent use.
type pulls struct {
	patience time.Duration // constant: until the next peer is asked
	memory   time.Duration // what came is remembered for so long at least, if it is not too much
	limit    int           // open questions, and messages that came lately

	mu     sync.Mutex // guards what follows
	came   [2]map[string]*arrival
	turned time.Time
	open   map[string]*pull
	order  []string // keys of open, in the order of their ends; may hold some twice
	asked  map[peer.ID]*answerer
	kept   time.Time              // when a question was last answered
	total  uint64                 // messages that came, ever, those that were shed included
	past   [2]map[uint64]struct{} // hashes of the ids of those that came, older ones in the second
	seed   maphash.Seed           // constant
	spoke  time.Time              // when somebody last said something
	gap    time.Duration          // how long the last gap was, and when it ended
	ended  time.Time
}

// answerer is how a peer answered what it was asked for.
type answerer struct {
	unkept int // questions in a row that it left open
	kept   int // that it answered
}

// room is how many messages such a peer is asked for at once.
func (a *answerer) room() int {
	if a.unkept >= pullTrust {
		return pullInDoubt
	}
	return pullAtFirst + pullMore*a.kept
}

// arrival is a message that came lately.
type arrival struct {
	size int
	asks map[peer.ID]uint8 // how often each peer asked for it
}

// pull is a question that is not answered yet.
type pull struct {
	from    peer.ID
	until   time.Time
	again   bool      // the router is still to be told to ask from
	waiters []peer.ID // have it too
}

func newPulls(patience, memory time.Duration, limit int) *pulls {
	return &pulls{
		patience: patience, memory: memory, limit: limit, open: make(map[string]*pull), asked: make(map[peer.ID]*answerer),
		came: [2]map[string]*arrival{make(map[string]*arrival), make(map[string]*arrival)},
		past: [2]map[uint64]struct{}{make(map[uint64]struct{}), make(map[uint64]struct{})}, seed: maphash.MakeSeed(),
	}
}

// announced takes the ids that a peer announces, and returns those to ask it for now.
func (p *pulls) announced(now time.Time, from peer.ID, ids []string) (ask []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.askedLocked(from)
	room := a.room()
	for _, id := range ids {
		if p.cameLocked(id) == nil && p.asksLocked(now, from, a, id) {
			if ask = append(ask, id); len(ask) >= room {
				break
			}
		}
	}
	return ask
}

// askedLocked is how a peer answered so far. Of more peers than there can be questions
// nothing is remembered.
func (p *pulls) askedLocked(from peer.ID) *answerer {
	a := p.asked[from]
	if a == nil {
		a = new(answerer)
		if len(p.asked) < p.limit {
			p.asked[from] = a
		}
	}
	return a
}

// asksLocked says whether to ask a peer for a message that did not come yet.
func (p *pulls) asksLocked(now time.Time, from peer.ID, a *answerer, id string) bool {
	q := p.open[id]
	switch {
	case q == nil:
		if a.unkept < pullTrust && len(p.open) < p.limit {
			p.open[id] = &pull{from: from, until: now.Add(p.patience)}
			p.order = append(p.order, id)
		}
		return true
	case q.from == from:
		was := q.again
		q.again = false
		return was
	case a.unkept >= pullTrust:
		return true // it may be true this time, and costs nobody anything
	}
	if len(q.waiters) < pullWaiters {
		q.waiters = append(q.waiters, from)
	}
	return false
}

// arrived notes that a message came. from is who sent it, which may be nobody that we asked.
func (p *pulls) arrived(now time.Time, from peer.ID, id string, size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.turned) >= p.memory || len(p.came[0]) >= p.limit {
		p.came[1], p.came[0] = p.came[0], make(map[string]*arrival)
		p.turned = now
	}
	p.came[0][id] = &arrival{size: size}
	p.total++
	if len(p.past[0]) >= pullPast {
		p.past[1], p.past[0] = p.past[0], make(map[uint64]struct{})
	}
	p.past[0][maphash.String(p.seed, id)] = struct{}{}
	if q := p.open[id]; q != nil {
		if a := p.asked[from]; a != nil && q.from == from {
			a.unkept = 0
			a.kept++
			p.kept = now
		}
		delete(p.open, id)
	}
}

// answered is when something last came that was asked for.
func (p *pulls) answered() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kept
}

// shed notes messages that came and were dropped unjudged: they were none of an invention.
func (p *pulls) shed(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total += uint64(n)
}

func (p *pulls) cameLocked(id string) *arrival {
	if m := p.came[0][id]; m != nil {
		return m
	}
	return p.came[1][id]
}

// overdue ends the questions that are open for too long and returns whom to ask next for
// what. wait is the time until there may be more; 0 if nothing is open.
func (p *pulls) overdue(now time.Time) (next map[peer.ID][]string, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.order) > 0 {
		id := p.order[0]
		q := p.open[id]
		if q != nil && now.Before(q.until) {
			return next, q.until.Sub(now)
		}
		p.order[0] = ""
		p.order = p.order[1:]
		if q == nil {
			continue // it came
		}
		if !q.again { // else the router was too busy to ask
			if a := p.asked[q.from]; a != nil {
				a.unkept++
			}
		}
		if len(q.waiters) == 0 {
			delete(p.open, id)
			continue
		}
		q.from, q.waiters = q.waiters[0], q.waiters[1:]
		q.until, q.again = now.Add(p.patience), true
		p.order = append(p.order, id)
		if next == nil {
			next = make(map[peer.ID][]string)
		}
		next[q.from] = append(next[q.from], id)
	}
	return next, 0
}

// wish is what a peer asks for, by what it costs us.
type wish struct {
	known   []string // that it may be sent
	unknown int      // that did not come lately
	repeats int      // that it asked for too often
}

// wanted takes the ids that a peer asks for. afford says whether it may be sent so many
// bytes; what it may not be sent now it may ask for again.
func (p *pulls) wanted(from peer.ID, ids []string, afford func(size int) bool) (w wish) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		m := p.cameLocked(id)
		switch {
		case m == nil:
			w.unknown++
		case m.asks[from] >= pullAsks:
			w.repeats++
		case afford(m.size):
			if m.asks == nil {
				m.asks = make(map[peer.ID]uint8)
			}
			m.asks[from]++
			w.known = append(w.known, id)
		}
	}
	return w
}

// forget drops what is held against a peer that is gone.
func (p *pulls) forget(from peer.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.asked, from)
}

// speaks notes that a peer says something.
func (p *pulls) speaks(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if gap := now.Sub(p.spoke); !p.spoke.IsZero() && gap > strangeGap {
		p.gap, p.ended = gap, now
	}
	p.spoke = now
}

// examine looks at the ids by which a peer names messages.
func (p *pulls) examine(from peer.ID, n *names) doubts {
	p.mu.Lock()
	defer p.mu.Unlock()
	missing := 0
	for _, id := range n.picked {
		h := maphash.Bytes(p.seed, id)
		_, lately := p.past[0][h]
		_, before := p.past[1][h]
		if !lately && !before {
			missing++
		}
	}
	return doubts{n.share(missing), p.askedLocked(from).room(), p.total, p.gap, p.ended}
}
