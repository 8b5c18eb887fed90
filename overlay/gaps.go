package overlay

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// gapPatience is how long a nonce that is too far ahead waits for those before it.
	// Side by side, validators let transactions of a burst overtake each other, and so
	// does every hop; and what was lost on the way comes by reconciliation, after some
	// rounds of it on a machine that is short of time.
	gapPatience = 30 * time.Second
	gapTick     = 10 * time.Millisecond  // the first wait until the next try; each is twice the last
	gapPause    = 250 * time.Millisecond // the longest
	gapPlaces   = 4096                   // in all
	gapPerPeer  = 2048                   // one busy wallet behind one neighbour must fit
	gapBytes    = 16 << 20
	gapPeer     = 4 << 20 // bytes of one peer
)

// early is a transaction whose nonce is too far ahead of what the pool has.
type early struct {
	tx    validation.CheckedTx
	from  peer.ID
	until time.Time
}

// retried is an early transaction in its place.
type retried struct {
	early
	next  time.Time     // when it is tried again
	pause time.Duration // before that
}

// gaps keeps such transactions for a moment: the router does not offer again what was
// ignored once, so what merely came in the wrong order would be lost.
type gaps struct {
	news chan struct{} // constant; capacity 1: the first has come

	mu  sync.Mutex // guards what follows
	pen *pen[retried]
}

func newGaps() *gaps {
	return &gaps{news: make(chan struct{}, 1), pen: newPen[retried](penBounds{items: gapPlaces, bytes: gapBytes, peerItems: gapPerPeer, peerBytes: gapPeer})}
}

// put keeps e if there is a place for it, and says whose transactions lost theirs: of some peer,
// which may be the one that sent e.
func (g *gaps) put(e early) (lost []peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.pen.items) == 0 {
		select {
		case g.news <- struct{}{}:
		default:
		}
	}
	return g.pen.put(e.from, e.tx.Size(), retried{early: e})
}

// empty says whether nothing waits.
func (g *gaps) empty() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.pen.items) == 0
}

// due lists the transactions of every sender of whom one is to be tried now, a sender's in
// the order of their nonces. They stay where they are.
func (g *gaps) due(now time.Time) (out []penned[retried]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	senders := make(map[wire.Address]bool)
	for _, item := range g.pen.items {
		if !now.Before(item.what.next) {
			senders[item.what.tx.Terms().Sender] = true
		}
	}
	if len(senders) == 0 {
		return nil
	}
	for _, item := range g.pen.items {
		if senders[item.what.tx.Terms().Sender] {
			out = append(out, item)
		}
	}
	slices.SortFunc(out, func(a, b penned[retried]) int {
		x, y := a.what.tx.Terms(), b.what.tx.Terms()
		return cmp.Or(x.Sender.Compare(y.Sender), cmp.Compare(x.Nonce, y.Nonce), cmp.Compare(a.serial, b.serial))
	})
	return out
}

// retry offers transactions to add, a sender's in the order of their nonces, and keeps what
// is still too far ahead and in time; that is tried less often after a while, since anybody
// can have it tried for nothing. It returns what add took.
func (g *gaps) retry(now time.Time, add func(e early) (tooFar bool, taken bool)) (taken []early) {
	var stuck wire.Address // its transactions that follow are further still
	for _, item := range g.due(now) {
		e := item.what.early
		sender := e.tx.Terms().Sender
		tooFar, took := true, false
		if sender != stuck || stuck.IsZero() {
			tooFar, took = add(e)
		}
		if took {
			taken = append(taken, e)
		}
		if tooFar {
			stuck = sender
		}
		g.settle(item.serial, now, tooFar && !took)
	}
	return taken
}

// settle puts off the next try of a transaction, or lets go of it.
func (g *gaps) settle(serial uint64, now time.Time, stays bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	item, ok := g.pen.at(serial)
	if !ok {
		return // lost its place meanwhile
	}
	e := &item.what
	if stays && now.Before(e.until) {
		e.pause = min(max(gapTick, 2*e.pause), gapPause)
		e.next = now.Add(e.pause)
		return
	}
	g.pen.drop(serial)
}
