package node

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
)

// TestReachability follows a node behind a router whose port is opened, then closed again.
func TestReachability(t *testing.T) {
	a, b := ma.StringCast("/ip4/8.8.8.8/tcp/7410"), ma.StringCast("/ip4/8.8.8.8/udp/7410/quic-v1")
	for _, tt := range []struct {
		ev   event.EvtHostReachableAddrsChanged
		want api.ReachState
		line string
	}{
		{event.EvtHostReachableAddrsChanged{Unknown: []ma.Multiaddr{a, b}}, api.ReachUnknown, ""},
		{event.EvtHostReachableAddrsChanged{Unreachable: []ma.Multiaddr{a}, Unknown: []ma.Multiaddr{b}}, api.ReachUnknown, ""},
		{event.EvtHostReachableAddrsChanged{Unreachable: []ma.Multiaddr{a, b}}, api.Unreachable, "level=WARN msg=\"peers cannot reach this node"},
		{event.EvtHostReachableAddrsChanged{Unreachable: []ma.Multiaddr{b, a}}, api.Unreachable, ""},
		{event.EvtHostReachableAddrsChanged{Unreachable: []ma.Multiaddr{a}, Reachable: []ma.Multiaddr{b}}, api.Reachable, "level=INFO msg=\"peers can reach this node"},
		{event.EvtHostReachableAddrsChanged{}, api.ReachUnknown, ""},
	} {
		log := new(bytes.Buffer)
		r := &reach{log: slog.New(slog.NewTextHandler(log, nil))}
		if tt.line == "" && tt.want == api.Unreachable {
			r.last = tt.ev // nothing changed
		}
		r.saw(tt.ev)
		require.Equal(t, tt.want, r.status().State)
		require.Len(t, r.status().Reachable, len(tt.ev.Reachable))
		require.Len(t, r.status().Unreachable, len(tt.ev.Unreachable))
		if tt.line == "" {
			require.Empty(t, log.String())
		} else {
			require.Contains(t, log.String(), tt.line)
		}
	}
}

// TestReachabilityComesFromTheHost: what libp2p says is heard, also from before.
func TestReachabilityComesFromTheHost(t *testing.T) {
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableMetrics())
	require.NoError(t, err)
	defer h.Close()
	emitter, err := h.EventBus().Emitter(new(event.EvtHostReachableAddrsChanged), eventbus.Stateful)
	require.NoError(t, err)
	defer emitter.Close()
	require.NoError(t, emitter.Emit(event.EvtHostReachableAddrsChanged{Unreachable: []ma.Multiaddr{ma.StringCast("/ip4/8.8.8.8/tcp/1")}}))
	r := &reach{log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.run(ctx, h) }()
	require.Eventually(t, func() bool { return r.status().State == api.Unreachable }, 30*time.Second, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}

// TestAPublicNodeAsksWhetherItIsReached: it speaks AutoNAT v2, and a testnet's does not.
func TestAPublicNodeAsksWhetherItIsReached(t *testing.T) {
	for profile, want := range map[string]bool{"public": true, "testnet": false} {
		b := newBench(t, 1, vfs.NewMem())
		cfg := Config{Profile: profile, ListenAddrs: []string{"/ip4/127.0.0.1/tcp/0"}, Logger: b.cfg.Logger}
		h, err := newHost(cfg, b.home.key, new(gate), newMeters().registry)
		require.NoError(t, err)
		asks := false
		for _, p := range h.Mux().Protocols() {
			asks = asks || p == "/libp2p/autonat/2/dial-back"
		}
		require.Equal(t, want, asks, profile)
		require.NoError(t, h.Close())
	}
}
