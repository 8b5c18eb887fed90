package overlay

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/wire"
)

// errTwins says that a peer sent two blocks of one turn. Who relays sends the first that it
// heard of, and of others evidence alone.
var errTwins = errors.New("overlay: sent two blocks of one turn")

const (
	// maxTurnsSent bounds the turns of which is known who sent which block. Those that may come
	// by gossip are as many as slots fit into the tolerance of clocks, twice: far fewer.
	maxTurnsSent = 256
	// maxTwinsKnown bounds the blocks of one turn that further copies are looked at of.
	maxTwinsKnown = 4
	// maxSenders bounds the peers noted for a turn, and those whose connections are new.
	maxSenders = 1024
)

// twins notes which block of a turn each peer sent in compact form, to find who sends two.
// That proves something only of one life of the peer's process, for in its next it knows
// nothing of the first. So what it sent is forgotten with every new connection of it, and
// while one is new nothing is noted: what comes then may have waited here since before.
type twins struct {
	after time.Duration // constant: how long a connection is new

	mu    sync.Mutex // guards what follows
	fresh map[peer.ID]time.Duration
	blind time.Duration // for which nobody is judged: more connections came than can be told apart
	turns map[turn]*sentTurn
	order []turn // keys of turns, oldest first
}

type turn struct {
	producer wire.Address
	slot     uint64
}

// sentTurn is what came of one turn.
type sentTurn struct {
	valid []wire.BlockID
	by    map[peer.ID]wire.BlockID // what each peer sent last
}

func newTwins(after time.Duration) *twins {
	return &twins{after: after, fresh: make(map[peer.ID]time.Duration), turns: make(map[turn]*sentTurn)}
}

func turnOf(h *wire.Header) turn { return turn{h.Body().Producer, h.Body().Slot} }

// anew says that a connection of p began.
func (t *twins) anew(p peer.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.turns {
		delete(s.by, p)
	}
	if len(t.fresh) >= maxSenders {
		t.blind = t.after
		clear(t.fresh)
		for _, s := range t.turns {
			clear(s.by)
		}
	}
	t.fresh[p] = 0
}

// beat says that this process has run for another while. Time in which it stood still does
// not count, since nothing that waited here went on either.
func (t *twins) beat(while time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.blind = max(0, t.blind-while)
	for p, age := range t.fresh {
		if age+while >= t.after {
			delete(t.fresh, p)
		} else {
			t.fresh[p] = age + while
		}
	}
}

// sent takes note of a valid header that p sent, and reports whether p sent another block of
// that turn before.
func (t *twins) sent(p peer.ID, h *wire.Header) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := turnOf(h)
	s := t.turns[key]
	if s == nil {
		s = t.rememberLocked(key)
	}
	if len(s.valid) < maxTwinsKnown && !slices.Contains(s.valid, h.ID()) {
		s.valid = append(s.valid, h.ID())
	}
	return t.noteLocked(s, p, h.ID())
}

// again is the same of a further copy, which counts only if the header is known to be valid.
func (t *twins) again(p peer.ID, h *wire.Header) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.turns[turnOf(h)]
	return s != nil && slices.Contains(s.valid, h.ID()) && t.noteLocked(s, p, h.ID())
}

func (t *twins) rememberLocked(key turn) *sentTurn {
	if len(t.order) >= maxTurnsSent {
		delete(t.turns, t.order[0])
		t.order = slices.Delete(t.order, 0, 1)
	}
	s := &sentTurn{by: make(map[peer.ID]wire.BlockID)}
	t.turns[key] = s
	t.order = append(t.order, key)
	return s
}

func (t *twins) noteLocked(s *sentTurn, p peer.ID, id wire.BlockID) bool {
	if _, fresh := t.fresh[p]; fresh || t.blind > 0 {
		return false
	}
	before, ok := s.by[p]
	if ok || len(s.by) < maxSenders {
		s.by[p] = id
	}
	return ok && before != id
}
