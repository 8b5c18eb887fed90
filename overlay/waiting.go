package overlay

import (
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/wire"
)

// waitingTick is how exactly a waiting header meets its slot: well below the tolerance of clocks.
const waitingTick = 100 * time.Millisecond

// held is a header that came too early: before its slot (due is set) or before its
// parent (parent is set).
type held struct {
	id     wire.BlockID
	raw    []byte
	from   peer.ID
	since  time.Time
	due    time.Time
	parent wire.BlockID
	tries  int // how often it was judged again
}

// waitingRoom keeps headers that came too early. What finds no place comes by sync.
type waitingRoom struct {
	patience time.Duration // constant

	mu  sync.Mutex // guards what follows
	pen *pen[held]
}

func newWaitingRoom(l Limits) *waitingRoom {
	return &waitingRoom{patience: l.WaitingTime, pen: newPen[held](penBounds{
		items: l.WaitingHeaders, bytes: l.WaitingBytes,
		peerItems: l.WaitingPerPeer, peerBytes: l.WaitingBytesPerPeer,
	})}
}

// put keeps w, unless there is no room or its block waits already.
func (r *waitingRoom) put(w held) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.ContainsFunc(r.pen.items, func(o penned[held]) bool { return o.what.id == w.id }) {
		return true
	}
	return !slices.Contains(r.pen.put(w.from, len(w.raw), w), w.from)
}

// children removes and returns those that waited for a parent.
func (r *waitingRoom) children(parent wire.BlockID) []held {
	return r.remove(func(w held) bool { return w.due.IsZero() && w.parent == parent })
}

// due removes and returns those whose slot has begun, and forgets those that waited too
// long.
func (r *waitingRoom) due(now time.Time) []held {
	out := r.remove(func(w held) bool { return !w.due.IsZero() && !now.Before(w.due) })
	r.remove(func(w held) bool { return now.Sub(w.since) > r.patience })
	return out
}

func (r *waitingRoom) remove(which func(held) bool) (out []held) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, item := range r.pen.remove(func(item penned[held]) bool { return which(item.what) }) {
		out = append(out, item.what)
	}
	return out
}

func (r *waitingRoom) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pen.items)
}
