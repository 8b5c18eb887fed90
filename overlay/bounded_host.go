package overlay

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// A gossip stream that cannot be opened is tried again after the first of these pauses once the
// peer says that it gossips, and at last every so often.
const (
	reopenFirst = 100 * time.Millisecond
	reopenLast  = 2 * time.Second
)

// gate decides who may talk to pubsub, and bounds what they may say.
type gate struct {
	// admit waits until the hello with a peer is settled, and fails if the peer is not
	// welcome. Nothing is dropped meanwhile: the peer's subscriptions, which it sends
	// once, are read afterwards.
	admit func(ctx context.Context, p peer.ID) error
	// accept takes an inbound stream into its bounds, or refuses it. done is called once,
	// when pubsub is done with it.
	accept func(s network.Stream) (bounded network.Stream, done func(), ok bool)
	// write writes an RPC to a peer when its turn has come.
	write func(s network.Stream, p peer.ID, rpc []byte) (int, error)
	// written is told of each RPC that was written to a peer.
	written func(p peer.ID)
	// sentry holds some messages back; nil: none.
	sentry *sentry
	// inventory leaves out announcements that a peer does not need; nil: none.
	inventory *inventory
}

// boundedHost is the host that one pubsub instance sees. It bounds the streams that
// come in, holds back those that go out until the hello is settled, and knows all of
// them, so that none outlives the instance.
type boundedHost struct {
	host.Host // constant

	gate gate

	mu       sync.Mutex // guards what follows
	closed   bool
	handlers []protocol.ID
	streams  map[network.Stream]struct{}
}

func newBoundedHost(h host.Host, g gate) *boundedHost {
	return &boundedHost{Host: h, gate: g, streams: make(map[network.Stream]struct{})}
}

// SetStreamHandler registers pubsub's handler behind the bounds.
func (h *boundedHost) SetStreamHandler(id protocol.ID, handle network.StreamHandler) {
	h.mu.Lock()
	h.handlers = append(h.handlers, id)
	h.mu.Unlock()
	h.Host.SetStreamHandler(id, func(s network.Stream) {
		bounded, done, ok := h.gate.accept(s)
		if !ok {
			_ = s.ResetWithError(network.StreamRateLimited)
			return
		}
		defer done()
		if !h.track(s) {
			_ = s.ResetWithError(network.StreamShutdown)
			return
		}
		defer h.forget(s)
		handle(bounded)
	})
}

// NewStream opens the stream on which pubsub talks to a peer, once the peer is welcome.
func (h *boundedHost) NewStream(ctx context.Context, p peer.ID, ids ...protocol.ID) (network.Stream, error) {
	s, err := h.open(ctx, p, ids)
	if err != nil {
		return nil, err
	}
	if !h.track(s) {
		_ = s.Reset()
		return nil, context.Canceled
	}
	t := &trackedStream{
		Stream: s, to: p, writing: make(chan struct{}, 1), write: h.gate.write, written: h.gate.written, forget: h.forget,
		sentry: h.gate.sentry, inventory: h.gate.inventory,
	}
	if t.sentry != nil {
		t.sentry.opened(t)
	}
	return t, nil
}

// open tries for as long as the peer is connected. A node that starts says hello before it
// gossips, so the first try may come too early; and pubsub, which asks once and overlooks
// what it hears of a peer meanwhile, would after an error not talk to that peer again.
func (h *boundedHost) open(ctx context.Context, p peer.ID, ids []protocol.ID) (network.Stream, error) {
	s, err := h.try(ctx, p, ids)
	for pause := reopenFirst; err != nil; {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if h.Network().Connectedness(p) != network.Connected {
			return nil, err
		}
		if known, _ := h.Peerstore().SupportsProtocols(p, ids...); len(known) > 0 {
			s, err = h.try(ctx, p, ids)
			pause = min(2*pause, reopenLast)
		}
	}
	return s, nil
}

func (h *boundedHost) try(ctx context.Context, p peer.ID, ids []protocol.ID) (network.Stream, error) {
	if err := h.gate.admit(ctx, p); err != nil {
		return nil, err
	}
	s, err := h.Host.NewStream(network.WithNoDial(ctx, "pubsub talks to connected peers"), p, ids...)
	if err != nil {
		return nil, fmt.Errorf("overlay: open gossip stream: %w", err)
	}
	return s, nil
}

func (h *boundedHost) track(s network.Stream) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.streams[s] = struct{}{}
	return true
}

func (h *boundedHost) forget(s network.Stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.streams, s)
}

// shut takes the handlers away and resets every stream: pubsub's readers have no other
// way to learn that their instance is over.
func (h *boundedHost) shut() {
	h.mu.Lock()
	h.closed = true
	handlers := h.handlers
	streams := make([]network.Stream, 0, len(h.streams))
	for s := range h.streams {
		streams = append(streams, s)
	}
	h.mu.Unlock()

	for _, id := range handlers {
		h.RemoveStreamHandler(id)
	}
	for _, s := range streams {
		_ = s.ResetWithError(network.StreamShutdown)
	}
}
