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

// waitingRoom keeps headers that came too early, within a bound in all and per peer. At
// the bound the newcomer is turned away: what waits has the better claim, and the block
// comes by sync.
type waitingRoom struct {
	max, perPeer int // constant
	patience     time.Duration

	mu    sync.Mutex // guards what follows
	items []held     // oldest first
	of    map[peer.ID]int
}

func newWaitingRoom(l Limits) *waitingRoom {
	return &waitingRoom{
		max: l.WaitingHeaders, perPeer: l.WaitingPerPeer, patience: l.WaitingTime,
		of: make(map[peer.ID]int),
	}
}

// put keeps w, unless there is no room or its block waits already.
func (r *waitingRoom) put(w held) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.items) >= r.max || r.of[w.from] >= r.perPeer {
		return false
	}
	if slices.ContainsFunc(r.items, func(o held) bool { return o.id == w.id }) {
		return true
	}
	r.items = append(r.items, w)
	r.of[w.from]++
	return true
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
	r.items = slices.DeleteFunc(r.items, func(w held) bool {
		if !which(w) {
			return false
		}
		out = append(out, w)
		if r.of[w.from]--; r.of[w.from] == 0 {
			delete(r.of, w.from)
		}
		return true
	})
	return out
}

func (r *waitingRoom) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.items)
}
