package sim

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/wire"
)

// healEvery is how often a healed network is looked at for whether it is one
// again: as fine as promises of seconds need.
const healEvery = 50 * time.Millisecond

// healing is how the parts of the network become one again after its last
// partition.
type healing struct {
	mu      sync.Mutex        // guards what follows
	parts   []int             // of each seat, from the end of the partition on; nil before
	at      time.Time         // that end
	crossed time.Time         // the first connection between two parts since then
	equal   time.Time         // everybody honest has what anybody had, and the same head
	missing uint64            // bytes of transactions that some had and others lacked at the end, for each that lacked it
	wire0   uint64            // sent until the end of the partition
	wire1   uint64            // until all were equal
	spoken  map[string]uint64 // from the end of the partition until then, by protocol; nil if that is not counted
}

// attend has a host's connections watched for the first that joins two parts.
func (g *stage) attend(h host.Host, err error) (host.Host, error) {
	if err != nil || len(g.s.Partitions) == 0 {
		return h, err
	}
	h.Network().Notify(&network.NotifyBundle{ConnectedF: func(_ network.Network, c network.Conn) {
		g.joined(c.LocalPeer(), c.RemotePeer())
	}})
	return h, nil
}

func (g *stage) joined(a, b peer.ID) {
	h := &g.healing
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.parts == nil || !h.crossed.IsZero() {
		return
	}
	if one, other := g.partOf(a), g.partOf(b); one >= 0 && other >= 0 && one != other {
		h.crossed = time.Now()
	}
}

// partOf is the part that a peer was in, −1 for one that has no seat.
func (g *stage) partOf(id peer.ID) int {
	for i, p := range g.places {
		if p.ID == id {
			return g.healing.parts[i]
		}
	}
	return -1
}

// heal follows what becomes of the parts now that the links between them are
// back, until all are equal or ctx ends.
func (g *stage) heal(ctx context.Context, parts []int) {
	h := &g.healing
	lacking := g.lacking()
	h.mu.Lock()
	h.parts, h.at, h.wire0 = parts, time.Now(), g.world.sent()
	before := g.world.spoken()
	for _, list := range lacking {
		for _, m := range list {
			h.missing += uint64(m.size)
		}
	}
	h.mu.Unlock()
	for i, p := range g.places { // a short partition does not end connections
		if up := p.participant(); up != nil {
			for _, id := range up.Peers() {
				g.joined(g.places[i].ID, id)
			}
		}
	}
	for !g.equal(lacking) {
		if !Sleep(ctx, healEvery) {
			return
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.equal, h.wire1, h.spoken = time.Now(), g.world.sent(), g.world.spoken()
	for kind, n := range before { // never more than later, but for the transport's share of what is under way
		h.spoken[kind] -= min(n, h.spoken[kind])
	}
}

// lacking lists, for each place, the transactions that it lacks of what was
// made so far. Nothing is expected of places that are not honest.
func (g *stage) lacking() [][]made {
	all := g.published()
	lists := make([][]made, len(g.places))
	for i, p := range g.places {
		for _, m := range all {
			if p.honest && i != m.origin && m.kind == Tx && !p.Observer.knows(m.id) {
				lists[i] = append(lists[i], m.made)
			}
		}
	}
	return lists
}

// equal takes from the lists what has arrived, and says whether nothing is
// left and all honest places that follow a chain are on one head.
func (g *stage) equal(lacking [][]made) bool {
	for i, list := range lacking {
		for n := len(list); n > 0 && g.places[i].Observer.knows(list[n-1].id); n-- {
			lacking[i] = list[:n-1]
		}
		if len(lacking[i]) > 0 {
			return false
		}
	}
	heads := make(map[wire.BlockID]bool)
	for _, p := range g.up(-1) {
		if chain, ok := p.participant().(Chain); ok {
			_, id := chain.Head()
			heads[id] = true
		}
	}
	return len(heads) <= 1
}

// knows says whether the seat's node was told of a transaction, and found it valid.
func (o *Observer) knows(id ID) bool {
	_, ok := o.sawAt(Tx, id)
	return ok
}

// report is nil where nothing was split, or the run ended before it healed.
func (h *healing) report() *report.Heal {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.parts == nil {
		return nil
	}
	r := &report.Heal{MissingBytes: h.missing}
	if !h.crossed.IsZero() {
		r.CrossedS = report.Measured(h.crossed.Sub(h.at).Seconds())
	}
	if h.equal.IsZero() {
		return r
	}
	sent := h.wire1 - h.wire0
	r.EqualS = report.Measured(h.equal.Sub(h.at).Seconds())
	r.Kinds = kindsOf(h.spoken)
	r.WireBytes, r.WirePerMissing = &sent, report.Ratio(float64(sent), float64(h.missing))
	if r.CrossedS != nil {
		r.EqualAfterCrossingS = report.Measured(max(0, h.equal.Sub(h.crossed).Seconds()))
	}
	return r
}
