package overlay

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// maxAside bounds the transactions of suspects of which a copy is looked at, asideFor the time
	// in which one is: copies that a mesh brings come within it.
	maxAside = 8192
	asideFor = 30 * time.Second

	// maxCopies is how many of these copies may wait. What finds no room waits for the next copy.
	maxCopies = 256
)

// aside remembers which transactions of suspects are verified apart, or were shed there. The
// router has seen these, and takes for a duplicate what anybody else brings: that copy is judged
// all the same, so that nothing is lost or waits for having come through a bad neighbour first.
// It is safe for concurrent use.
type aside struct {
	copies chan txCopy

	mu  sync.Mutex // guards ids
	ids *lately
}

// txCopy is a transaction that came again.
type txCopy struct {
	from peer.ID
	raw  []byte
}

func newAside() *aside {
	return &aside{copies: make(chan txCopy, maxCopies), ids: newLately(maxAside, asideFor)}
}

// put notes a transaction of a suspect: when it begins, and when it is put aside, for its sender
// may have become a suspect in between.
func (a *aside) put(now time.Time, id wire.TxID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ids.has(now, id) {
		a.ids.put(now, id)
	}
}

// offer has the copy of a transaction judged that was put aside, once.
func (a *aside) offer(now time.Time, id wire.TxID, c txCopy) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ids.has(now, id) {
		return
	}
	select {
	case a.copies <- c:
		a.ids.drop(id)
	default:
	}
}

// began notes a transaction that the router has just seen for the first time.
func (t *txRoad) began(from peer.ID, raw []byte) {
	if t.collector.suspect(peerscore.PeerID(from)) {
		t.aside.put(time.Now(), wire.TxIDOf(raw))
	}
}

// copied is told of a transaction that the router had seen before.
func (t *txRoad) copied(from peer.ID, id wire.TxID, raw []byte) {
	if !t.collector.suspect(peerscore.PeerID(from)) {
		t.aside.offer(time.Now(), id, txCopy{from, raw})
	}
}

// judgeCopies judges the copies of what was put aside, side by side, until ctx ends.
func (t *txRoad) judgeCopies(ctx context.Context) {
	for {
		select {
		case c := <-t.aside.copies:
			t.crew.spawn(func() { t.judgeCopy(ctx, c) })
		case <-ctx.Done():
			return
		}
	}
}

func (t *txRoad) judgeCopy(ctx context.Context, c txCopy) {
	switch r := t.believe(ctx, c.from, c.raw); {
	case errors.Is(r.Err, errApart): // whose sender is a suspect by now
		t.aside.put(time.Now(), wire.TxIDOf(c.raw))
	case errors.Is(r.Err, errUndecided):
		t.passLate(ctx, r)
	case t.passes(c.from, r):
		t.passLate(ctx, r)
	}
}
