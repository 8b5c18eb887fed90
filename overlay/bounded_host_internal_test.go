package overlay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"
)

func connectedPair(t *testing.T) (a, b host.Host) {
	t.Helper()
	for _, h := range []*host.Host{&a, &b} {
		made, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.DisableMetrics())
		require.NoError(t, err)
		t.Cleanup(func() { _ = made.Close() })
		*h = made
	}
	require.NoError(t, a.Connect(t.Context(), peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}))
	return a, b
}

func welcome(context.Context, peer.ID) error { return nil }

// A node says hello before it gossips. Whoever asks it for a gossip stream in between gets
// one as soon as there are any: pubsub does not ask again.
func TestGossipStreamToANodeThatStarts(t *testing.T) {
	const id = protocol.ID("/gossip/1")
	a, b := connectedPair(t)
	early := newBoundedHost(a, gate{admit: welcome})
	type opened struct {
		s   network.Stream
		err error
	}
	got := make(chan opened, 1)
	go func() {
		s, err := early.NewStream(t.Context(), b.ID(), id)
		got <- opened{s, err}
	}()
	select {
	case o := <-got:
		require.FailNow(t, "before anybody answers", "%v", o.err)
	case <-time.After(3 * reopenFirst):
	}
	b.SetStreamHandler(id, func(s network.Stream) { _ = s.Close() })
	select {
	case o := <-got:
		require.NoError(t, o.err)
		require.NoError(t, o.s.Reset())
	case <-time.After(10 * time.Second):
		require.FailNow(t, "no stream")
	}
}

// Nobody waits for a peer that left, or longer than its instance lasts.
func TestGossipStreamToANodeThatLeaves(t *testing.T) {
	a, b := connectedPair(t)
	h := newBoundedHost(a, gate{admit: welcome})
	ctx, cancel := context.WithTimeout(t.Context(), 2*reopenFirst)
	defer cancel()
	_, err := h.NewStream(ctx, b.ID(), "/gossip/1")
	require.ErrorIs(t, err, context.DeadlineExceeded)

	require.NoError(t, b.Close())
	_, err = h.NewStream(t.Context(), b.ID(), "/gossip/1")
	require.Error(t, err)
}

// startingHost is connected to a peer that gossips from some time on.
type startingHost struct {
	host.Host
	gossips time.Time
	refuses int // and refuses as many streams
	tries   int
}

type (
	startingNetwork struct{ network.Network }
	startingBook    struct {
		peerstore.Peerstore
		h *startingHost
	}
)

func (h *startingHost) Network() network.Network { return startingNetwork{} }

func (h *startingHost) Peerstore() peerstore.Peerstore { return startingBook{h: h} }

func (startingNetwork) Connectedness(peer.ID) network.Connectedness { return network.Connected }

func (b startingBook) SupportsProtocols(_ peer.ID, ids ...protocol.ID) ([]protocol.ID, error) {
	if time.Now().Before(b.h.gossips) {
		return nil, nil
	}
	return ids, nil
}

func (h *startingHost) NewStream(context.Context, peer.ID, ...protocol.ID) (network.Stream, error) {
	h.tries++
	if h.tries <= h.refuses || time.Now().Before(h.gossips) {
		return nil, errors.New("refused")
	}
	return new(pipeStream), nil
}

// However late a node gossips, its stream is opened at once, without a try in vain before; and
// one that refuses streams is not asked in a hurry.
func TestGossipStreamToANodeThatIsLate(t *testing.T) {
	for _, c := range []struct {
		late   time.Duration
		refuse int
		within time.Duration
		tries  int
	}{
		{late: time.Hour, within: reopenFirst, tries: 2},
		{late: time.Hour, refuse: 9, within: 15 * time.Second, tries: 10},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := &startingHost{gossips: time.Now().Add(c.late), refuses: c.refuse}
			_, err := newBoundedHost(h, gate{admit: welcome}).NewStream(t.Context(), "peer", "/gossip/1")
			require.NoError(t, err)
			require.LessOrEqual(t, time.Since(h.gossips), c.within)
			require.Equal(t, c.tries, h.tries)
		})
	}
}
