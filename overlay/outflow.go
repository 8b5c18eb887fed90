package overlay

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"
)

const (
	// relayRest and relayRestRefill bound the time for which readers rest in favour of
	// peers that read slowly: so much at once, and such a share of all time. An attacker
	// who reads nothing slows this node by that share and no more.
	relayRest       = 3 * time.Second
	relayRestRefill = 0.1

	// outflowPatience is how long our own publications wait for a peer that does not
	// read. Then its queue may overflow: one peer must not silence this node.
	outflowPatience = 2 * time.Second
	outflowTick     = 5 * time.Millisecond

	// outflowStall is how long nothing is written to a peer before nobody waits for it: the
	// largest frame takes so long on a line of 8 Mbit/s. What it does not take it gets by
	// announcement, or when pools are compared.
	outflowStall = time.Second
)

// outflow counts what waits in the router's queues to our peers, so that this node's own
// publications do not overflow them: the router drops the newest and tells nobody, and a
// mesh peer is not told of it again.
type outflow struct {
	limit      int           // constant: own publications stop here
	relayLimit int           // readers rest from here on
	rest       *rate.Limiter // milliseconds of rest

	mu      sync.Mutex // guards what follows
	ways    map[peer.ID]*way
	crowded int // ways with as much as limit, the lower of the two
}

// way is the queue to one peer.
type way struct {
	depth int
	moved time.Time // when last something was written, or began to wait

	sent, dropped int // since they were last told
	looked        int // of dropped, those before it was last looked at whether the line carries anything
}

// newOutflow shares a queue of the router between own publications, which get its first
// half, and what is relayed. The two limits differ so that two nodes that only publish to
// each other never wait for each other.
func newOutflow(queue int) *outflow {
	return &outflow{
		limit: queue / 2, relayLimit: queue - queue/4,
		rest: rate.NewLimiter(rate.Limit(relayRestRefill*1000), int(relayRest.Milliseconds())),
		ways: make(map[peer.ID]*way),
	}
}

// opened begins to count for a peer.
func (o *outflow) opened(p peer.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wayLocked(p)
}

// queued and written may come in either order, so a depth can be below zero for a moment.
func (o *outflow) queued(p peer.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := o.wayLocked(p)
	if w.depth <= 0 {
		w.moved = time.Now()
	}
	if w.depth++; w.depth == o.limit {
		o.crowded++
	}
	w.sent++
}

func (o *outflow) written(p peer.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := o.ways[p]
	if w == nil { // it is gone, and a write to it ended late
		return
	}
	w.moved = time.Now()
	if w.depth--; w.depth == o.limit-1 {
		o.crowded--
	}
}

// jammed says whether most lines of a mesh are full. Then it is the network that is, or our
// own uplink, and who is slow is so for no reason of its own.
func (o *outflow) jammed(mesh *links) bool {
	deep := 0
	for _, p := range o.deep() {
		if mesh.has(p) {
			deep++
		}
	}
	return deep > 1 && 2*deep >= mesh.len()
}

// deep are the peers for whom transactions wait.
func (o *outflow) deep() (peers []peer.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for p, w := range o.ways {
		if w.depth >= fullLine {
			peers = append(peers, p)
		}
	}
	return peers
}

// depth is how much waits for a peer.
func (o *outflow) depth(p peer.ID) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if w := o.ways[p]; w != nil {
		return w.depth
	}
	return 0
}

func (o *outflow) wayLocked(p peer.ID) *way {
	w := o.ways[p]
	if w == nil {
		w = new(way)
		o.ways[p] = w
	}
	return w
}

func (o *outflow) forget(p peer.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if w := o.ways[p]; w != nil && w.depth >= o.limit {
		o.crowded--
	}
	delete(o.ways, p)
}

// full lists the peers whose queues are at one of the limits, and that read.
func (o *outflow) full(limit int) (peers []peer.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.crowded == 0 {
		return nil
	}
	now := time.Now()
	for p, w := range o.ways {
		if w.depth >= limit && now.Sub(w.moved) < outflowStall {
			peers = append(peers, p)
		}
	}
	return peers
}

// wait returns when no queue is at the limit, or the patience is over.
func (o *outflow) wait(ctx context.Context) error {
	if len(o.full(o.limit)) == 0 {
		return nil
	}
	patience := time.NewTimer(outflowPatience)
	defer patience.Stop()
	tick := time.NewTicker(outflowTick)
	defer tick.Stop()
	for len(o.full(o.limit)) > 0 {
		select {
		case <-tick.C:
		case <-patience.C:
			for _, p := range o.full(o.limit) {
				o.forget(p) // counted anew; what does not fit is not counted
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// yield lets a reader rest while what it reads could not be relayed, within bounds.
func (o *outflow) yield(ctx context.Context) error {
	if len(o.full(o.relayLimit)) == 0 {
		return nil
	}
	tick := time.NewTicker(outflowTick)
	defer tick.Stop()
	for len(o.full(o.relayLimit)) > 0 && o.rest.AllowN(time.Now(), int(outflowTick.Milliseconds())) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
