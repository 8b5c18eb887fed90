package node

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
)

// strict bans mallory, and the address of nowhere, where it trusts nobody but grace.
type strict struct{}

var nowhere = ma.StringCast("/ip4/203.0.113.1/tcp/1")

func (strict) Banned(p peer.ID) bool          { return p == "mallory" }
func (strict) BannedAddr(a ma.Multiaddr) bool { return a.Equal(nowhere) }
func (strict) BannedAt(p peer.ID, a ma.Multiaddr) bool {
	return p != "grace" && a.Equal(nowhere)
}

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
	require.False(t, g.InterceptSecured(network.DirInbound, "mallory", place{at: elsewhere}))
	require.True(t, g.InterceptSecured(network.DirInbound, "alice", place{at: elsewhere}))
	require.False(t, g.InterceptAddrDial("alice", nowhere))
	require.True(t, g.InterceptAddrDial("alice", elsewhere))
	require.True(t, g.InterceptAddrDial("grace", nowhere))
	require.False(t, g.InterceptAccept(place{at: nowhere}))
	require.True(t, g.InterceptAccept(place{at: elsewhere}))
	for _, c := range []struct {
		conn place
		want bool
	}{
		{place{peer: "alice", at: elsewhere}, true},
		{place{peer: "alice", at: nowhere}, false},
		{place{peer: "grace", at: nowhere}, true},
		{place{peer: "mallory", at: elsewhere}, false},
	} {
		got, _ := g.InterceptUpgraded(c.conn)
		require.Equal(t, c.want, got, "%v", c.conn)
	}
}

// R129: banned peers that come again and again cost a handshake each at first, and then a few
// a second, whoever of one address they are; other addresses are not affected.
func TestBannedPeersThatKeepKnockingAreNotAnswered(t *testing.T) {
	var k knocks
	now := time.UnixMilli(1_000_000)
	handshakes := func(from string, while time.Duration) (n int) {
		for at := time.Duration(0); at < while; at += 10 * time.Millisecond {
			a := ma.StringCast(fmt.Sprintf("%s/tcp/%d", from, 1024+at/time.Millisecond))
			if k.lets(a, now.Add(at)) {
				k.refused(a, now.Add(at))
				n++
			}
		}
		return n
	}
	require.Equal(t, knocksAtOnce+10*knocksPerSecond, handshakes("/ip4/198.51.100.1", 10*time.Second)+1)
	now = now.Add(10 * time.Second)
	require.Equal(t, 10*knocksPerSecond, handshakes("/ip4/198.51.100.1", 10*time.Second), "it goes on so")
	require.True(t, k.lets(ma.StringCast("/ip4/198.51.100.2/tcp/1"), now))
	for range knocksAtOnce {
		require.True(t, k.lets(ma.StringCast("/ip6/2001:db8::1/tcp/1"), now))
		k.refused(ma.StringCast("/ip6/2001:db8::1/tcp/1"), now)
	}
	require.False(t, k.lets(ma.StringCast("/ip6/2001:db8::2/tcp/1"), now), "one host has them all")
	require.True(t, k.lets(ma.StringCast("/ip6/2001:db8:0:1::1/tcp/1"), now))
	require.True(t, k.lets(ma.StringCast("/dns4/example.org/tcp/1"), now))
	for i := range 2 * maxKnockers {
		k.refused(ma.StringCast(fmt.Sprintf("/ip4/10.0.%d.%d/tcp/1", i/256, i%256)), now)
		require.LessOrEqual(t, len(k.by), maxKnockers)
	}
	now = now.Add(time.Minute)
	require.True(t, k.lets(ma.StringCast("/ip4/198.51.100.1/tcp/1"), now))
}

// R129: the gate counts banned peers that dialled us, and the resource manager, which is asked
// before any handshake, lets no more of them in.
func TestWhoKeepsKnockingGetsNoHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := new(gate)
		g.obey(strict{})
		d := door{&network.NullResourceManager{}, &g.knocks}
		from := ma.StringCast("/ip4/198.51.100.1/udp/1/quic-v1")
		for range 2 * knocksAtOnce {
			require.True(t, g.InterceptSecured(network.DirInbound, "alice", place{at: from}))
			require.False(t, g.InterceptSecured(network.DirOutbound, "mallory", place{at: from}))
		}
		_, err := d.OpenConnection(network.DirInbound, false, from)
		require.NoError(t, err)
		require.False(t, g.InterceptSecured(network.DirInbound, "mallory", place{at: from}))
		for range 2 * knocksAtOnce {
			_, err = d.OpenConnection(network.DirInbound, false, from)
			require.NoError(t, err)
			require.True(t, g.InterceptSecured(network.DirInbound, "alice", place{at: from}), "who is not banned costs its address nothing")
		}
		together := 0
		for range 4 * knocksAtOnce {
			if _, err = d.OpenConnection(network.DirInbound, false, from); err == nil {
				together++
			}
		}
		require.Equal(t, knocksAtOnce-1, together, "who come at once are counted before it is known who they are")
		for range together {
			require.False(t, g.InterceptSecured(network.DirInbound, "mallory", place{at: from}))
		}
		_, err = d.OpenConnection(network.DirInbound, false, from)
		require.ErrorIs(t, err, errKnocking)
		_, err = d.OpenConnection(network.DirOutbound, false, from)
		require.NoError(t, err, "we may dial whom we like")
	})
}
