package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// syncMeters count catching up.
type syncMeters struct {
	fetched  prometheus.Counter
	replaced prometheus.Counter
}

// hooks sets the hooks that count, and that then call those of the caller.
func (m *syncMeters) hooks(h *overlay.Hooks, next overlay.Hooks) {
	h.SyncAdded = func(id wire.BlockID) {
		m.fetched.Inc()
		if next.SyncAdded != nil {
			next.SyncAdded(id)
		}
	}
	h.SyncReplaced = func(late peerscore.PeerID) {
		m.replaced.Inc()
		if next.SyncReplaced != nil {
			next.SyncReplaced(late)
		}
	}
}

// syncing adds the numbers of catching up, which are asked for when wanted.
func (m *meters) syncing(ask func() overlay.SyncStatus) {
	for _, g := range []struct {
		name, help string
		of         func(overlay.SyncStatus) int
	}{
		{"sync_target_height", "The highest head that a peer has shown, or this node's own.", func(s overlay.SyncStatus) int { return int(s.Target) }},
		{"sync_sources", "Peers of which blocks are fetched.", func(s overlay.SyncStatus) int { return s.Sources }},
		{"sync_in_flight_bytes", "Bytes of blocks that were asked for, or came, and are not in the chain yet.", func(s overlay.SyncStatus) int { return s.Bytes }},
	} {
		m.watch(g.name, g.help, func() int { return g.of(ask()) })
	}
}
