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
	// does every hop.
	gapPatience = 3 * time.Second
	gapTick     = 10 * time.Millisecond
	gapPlaces   = 4096 // in all
	gapPerPeer  = 2048 // one busy wallet behind one neighbour must fit
	gapBytes    = 16 << 20
)

// early is a transaction whose nonce is too far ahead of what the pool has.
type early struct {
	tx    validation.CheckedTx
	from  peer.ID
	until time.Time
}

// gaps keeps such transactions for a moment: the router does not offer again what was
// ignored once, so what merely came in the wrong order would be lost. At the bound the
// newcomer is turned away.
type gaps struct {
	mu    sync.Mutex
	items []early
	bytes int
	of    map[peer.ID]int
}

func newGaps() *gaps { return &gaps{of: make(map[peer.ID]int)} }

func (g *gaps) put(e early) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.items) >= gapPlaces || g.of[e.from] >= gapPerPeer || g.bytes+e.tx.Size() > gapBytes {
		return false
	}
	g.items = append(g.items, e)
	g.bytes += e.tx.Size()
	g.of[e.from]++
	return true
}

// takeAll removes and returns everything, by sender and nonce.
func (g *gaps) takeAll() []early {
	g.mu.Lock()
	out := g.items
	g.items, g.bytes = nil, 0
	clear(g.of)
	g.mu.Unlock()
	slices.SortFunc(out, func(a, b early) int {
		x, y := a.tx.Terms(), b.tx.Terms()
		return cmp.Or(x.Sender.Compare(y.Sender), cmp.Compare(x.Nonce, y.Nonce))
	})
	return out
}

// retry offers each transaction to add, a sender's in the order of their nonces, and
// keeps what is still too far ahead and in time. It returns what add took.
func (g *gaps) retry(now time.Time, add func(e early) (tooFar bool, taken bool)) (taken []early) {
	var stuck wire.Address // its transactions that follow are further still
	for _, e := range g.takeAll() {
		sender := e.tx.Terms().Sender
		tooFar, took := true, false
		if sender != stuck || stuck.IsZero() {
			tooFar, took = add(e)
		}
		switch {
		case took:
			taken = append(taken, e)
		case tooFar:
			stuck = sender
			if now.Before(e.until) {
				g.put(e)
			}
		}
	}
	return taken
}
