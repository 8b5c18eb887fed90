package node

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
)

// strict bans mallory, and the address of nowhere.
type strict struct{}

var nowhere = ma.StringCast("/ip4/203.0.113.1/tcp/1")

func (strict) Banned(p peer.ID) bool          { return p == "mallory" }
func (strict) BannedAddr(a ma.Multiaddr) bool { return a.Equal(nowhere) }

// place is a connection from an address.
type place struct {
	network.Conn
	peer peer.ID
	at   ma.Multiaddr
}

func (c place) RemotePeer() peer.ID           { return c.peer }
func (c place) RemoteMultiaddr() ma.Multiaddr { return c.at }

// R84: who is banned is kept out at dial, accept and upgrade, by peer and by address.
func TestTheGateKeepsOutWhoIsBanned(t *testing.T) {
	g := new(gate)
	elsewhere := ma.StringCast("/ip4/198.51.100.1/tcp/1")
	require.True(t, g.InterceptPeerDial("mallory"), "nobody is banned before there is an overlay")
	require.True(t, g.InterceptAccept(place{at: nowhere}))
	g.obey(strict{})

	require.False(t, g.InterceptPeerDial("mallory"))
	require.True(t, g.InterceptPeerDial("alice"))
	require.False(t, g.InterceptSecured(network.DirInbound, "mallory", nil))
	require.True(t, g.InterceptSecured(network.DirInbound, "alice", nil))
	require.False(t, g.InterceptAddrDial("alice", nowhere))
	require.True(t, g.InterceptAddrDial("alice", elsewhere))
	require.False(t, g.InterceptAccept(place{at: nowhere}))
	require.True(t, g.InterceptAccept(place{at: elsewhere}))
	for _, c := range []struct {
		conn place
		want bool
	}{
		{place{peer: "alice", at: elsewhere}, true},
		{place{peer: "alice", at: nowhere}, false},
		{place{peer: "mallory", at: elsewhere}, false},
	} {
		got, _ := g.InterceptUpgraded(c.conn)
		require.Equal(t, c.want, got, "%v", c.conn)
	}
}
