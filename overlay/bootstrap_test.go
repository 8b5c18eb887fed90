package overlay_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
)

// A bootstrap peer that starts a moment later is found with the next try, not after the
// pause that the network has of its own.
func TestABootstrapPeerThatComesLateIsFoundSoon(t *testing.T) {
	g, c := testGenesis("late bootstrap"), newClock()
	identity, err := crypto.UnmarshalEd25519PrivateKey(key("late"))
	require.NoError(t, err)
	begin := func(addr string) host.Host {
		h, err := libp2p.New(libp2p.Identity(identity), libp2p.ListenAddrStrings(addr), libp2p.DisableRelay(), libp2p.DisableMetrics())
		require.NoError(t, err)
		t.Cleanup(func() { _ = h.Close() })
		return h
	}
	first := begin("/ip4/127.0.0.1/tcp/0")
	addr := peer.AddrInfo{ID: first.ID(), Addrs: first.Addrs()}
	require.NoError(t, first.Close())

	n := start(t, g, c, func(c *overlay.Config) { c.Bootstrap = []peer.AddrInfo{addr} })
	eventually(t, func() bool { return n.log.has("cannot be reached") }, "the first try fails")
	late := startOn(t, begin(addr.Addrs[0].String()), newChain(t, g, c))
	begun := time.Now()
	eventually(t, func() bool { return n.knows(late.host.ID()) }, "found")
	require.Less(t, time.Since(begun), 3*time.Second)
}

// A bootstrap peer that turns us away at once, as one does that has banned us, is asked again
// with growing pauses.
func TestABootstrapPeerThatTurnsUsAwayIsLeftAlone(t *testing.T) {
	g, c := testGenesis("turned away"), newClock()
	h := newHost(t)
	var dials atomic.Int32
	h.Network().Notify(&network.NotifyBundle{ConnectedF: func(_ network.Network, conn network.Conn) {
		dials.Add(1)
		_ = conn.Close()
	}})
	n := start(t, g, c, func(c *overlay.Config) {
		c.Bootstrap = []peer.AddrInfo{{ID: h.ID(), Addrs: h.Addrs()}}
	})
	eventually(t, func() bool { return n.log.has("cannot be reached") }, "it is said")
	tick := time.NewTimer(5 * time.Second)
	defer tick.Stop()
	<-tick.C
	require.LessOrEqual(t, dials.Load(), int32(8))
	require.NotZero(t, dials.Load())
}
