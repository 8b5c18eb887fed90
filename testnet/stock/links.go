package stock

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"

	"github.com/grapevine-p2p/grapevine/testnet/sim"
)

const (
	// dialling is how many neighbours are dialled at a time. Few, as careful dialers
	// do: heartbeats graft links as they come up, so links that come up sooner,
	// the short ones, have a better chance to be in the mesh. Were all dialled at
	// once, all would be up before the first heartbeat that matters, the mesh
	// would be chosen without regard to distance, and transactions would take a
	// sixth longer than in the figures of the yardstick.
	dialling = 4

	// redial is how often a link is looked after.
	redial = time.Second

	// patience is how long a dial may take. A neighbour that is away must not
	// keep the others waiting.
	patience = 5 * time.Second

	// hearing is how long connected peers may take to announce their topics:
	// many round trips, and some packets lost.
	hearing = 10 * time.Second

	// glance is how often a starting node looks whether it is heard of.
	glance = 100 * time.Millisecond
)

// keep sees to it that h stays connected to a neighbour, until ctx ends. It
// does what an application around the library does; the library dials nobody.
// turns has room for those that may dial.
func keep(ctx context.Context, h host.Host, near peer.AddrInfo, turns chan struct{}) {
	for {
		if h.Network().Connectedness(near.ID) != network.Connected {
			select {
			case turns <- struct{}{}:
			case <-ctx.Done():
				return
			}
			dial(ctx, h, near)
			<-turns
		}
		if !sim.Sleep(ctx, redial) {
			return
		}
	}
}

// dial tries to connect. The neighbour may not be up; the next round will tell.
func dial(ctx context.Context, h host.Host, near peer.AddrInfo) {
	if s, ok := h.Network().(interface{ Backoff() *swarm.DialBackoff }); ok {
		s.Backoff().Clear(near.ID) // rounds are rare enough
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = h.Connect(ctx, near)
}

// heard waits until this node has a mesh, closes ready, and returns nil; or Deaf
// where connected peers never announced themselves; or nil when ctx ends.
//
// It is all or nothing: a host that fell into the gap of identify is advertised
// to nobody, while a single peer may have its own reasons to keep silent.
func (n *node) heard(ctx context.Context) error {
	var since time.Time // when there were peers, and none of them heard of
	for sim.Sleep(ctx, glance) {
		switch {
		case len(n.MeshPeers(sim.Tx)) > 0:
			close(n.ready)
			return nil
		case len(n.host.Network().Peers()) == 0 || len(n.Peers()) > 0:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) > hearing:
			return Deaf
		}
	}
	return nil
}
