package node

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/wire"
)

// maxJourneys bounds the blocks of which it is remembered how they came.
const maxJourneys = 1024

// journeys remember how the last announced blocks came to this node.
type journeys struct {
	mu    sync.Mutex // guards what follows
	of    map[wire.BlockID]*api.Journey
	order []wire.BlockID // keys of of, oldest first
}

func newJourneys() *journeys { return &journeys{of: make(map[wire.BlockID]*api.Journey)} }

func (j *journeys) note(id wire.BlockID, how overlay.Rebuilt) {
	about := &api.Journey{
		Way: how.Way(), Known: how.FromPool, Filled: how.Filled, Asked: how.Asked, Rounds: how.Rounds, Wanted: how.Wanted, Chunks: how.Chunks,
		Took: float64(how.Took.Microseconds()) / 1000, Sender: peer.ID(how.Sender).String(),
	}
	for _, p := range how.From {
		about.From = append(about.From, peer.ID(p).String())
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.of[id] == nil {
		j.order = append(j.order, id)
	}
	j.of[id] = about
	if len(j.order) > maxJourneys {
		delete(j.of, j.order[0])
		j.order = j.order[1:]
	}
}

// get is nil for a block that was not announced, or long ago.
func (j *journeys) get(id wire.BlockID) *api.Journey {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.of[id]
}

func (j *journeys) hooks(h *overlay.Hooks, next overlay.Hooks) {
	h.BlockArriving = func(id wire.BlockID, how overlay.Rebuilt) {
		j.note(id, how)
		if next.BlockArriving != nil {
			next.BlockArriving(id, how)
		}
	}
}
