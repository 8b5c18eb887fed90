package node

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/grapevine-p2p/grapevine/node/api"
)

// reach is what peers found out by AutoNAT of whether this node can be dialled. A node that
// cannot goes on with the peers that it dials itself.
type reach struct {
	log *slog.Logger // constant

	mu   sync.Mutex // guards what follows
	last event.EvtHostReachableAddrsChanged
}

// run follows what the host learns until ctx ends.
func (r *reach) run(ctx context.Context, h host.Host) error {
	sub, err := h.EventBus().Subscribe(new(event.EvtHostReachableAddrsChanged), eventbus.Name("grapevine reachability"))
	if err != nil {
		return fmt.Errorf("node: subscribe to the reachability of addresses: %w", err)
	}
	defer sub.Close()
	for {
		select {
		case <-ctx.Done():
			return nil
		case ev, ok := <-sub.Out():
			if !ok {
				return nil // the host is closed
			}
			if ev, ok := ev.(event.EvtHostReachableAddrsChanged); ok {
				r.saw(ev)
			}
		}
	}
}

func (r *reach) saw(ev event.EvtHostReachableAddrsChanged) {
	r.mu.Lock()
	before := stateOf(r.last)
	r.last = ev
	r.mu.Unlock()
	switch now := stateOf(ev); {
	case now == before:
	case now == api.Unreachable:
		r.log.Warn("peers cannot reach this node; it goes on with those that it dials", "addrs", ev.Unreachable,
			"remedy", "open the port in the firewall, forward it, or set announce in config.toml")
	case now == api.Reachable:
		r.log.Info("peers can reach this node", "addrs", ev.Reachable)
	}
}

// stateOf sums up: one address that can be reached is enough, and nothing is said while one
// may still turn out to be.
func stateOf(ev event.EvtHostReachableAddrsChanged) api.ReachState {
	switch {
	case len(ev.Reachable) > 0:
		return api.Reachable
	case len(ev.Unreachable) > 0 && len(ev.Unknown) == 0:
		return api.Unreachable
	}
	return api.ReachUnknown
}

func (r *reach) status() *api.Reachability {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &api.Reachability{State: stateOf(r.last), Reachable: texts(r.last.Reachable), Unreachable: texts(r.last.Unreachable)}
}

func texts(addrs []ma.Multiaddr) (out []string) {
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return out
}
