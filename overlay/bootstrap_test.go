package overlay_test

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
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
