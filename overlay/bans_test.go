package overlay_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

func TestParseBanned(t *testing.T) {
	for text, want := range map[string]string{
		"203.0.113.9":     "203.0.113.9/32",
		"203.0.113.9/24":  "203.0.113.0/24",
		"::ffff:10.0.0.1": "10.0.0.1/32",
		"2001:db8::1/48":  "2001:db8::/48",

		"::ffff:203.0.113.0/120": "203.0.113.0/24",
		"::ffff:203.0.113.9/120": "203.0.113.0/24",
		"::ffff:203.0.113.9/128": "203.0.113.9/32",
		"::ffff:0:0/96":          "0.0.0.0/0",
		"::fffe:203.0.113.0/120": "::fffe:cb00:7100/120",
		"::203.0.113.0/120":      "::cb00:7100/120",
		"12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN": "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
	} {
		b, err := overlay.ParseBanned(text)
		require.NoError(t, err, text)
		require.Equal(t, want, b.String())
		again, err := overlay.ParseBanned(b.String())
		require.NoError(t, err, text)
		require.Equal(t, b, again, "what it is called is found again")
	}
	for _, text := range []string{"", "x", "203.0.113", "203.0.113.0/33", "fe80::1%eth0", "::ffff:203.0.113.0/95", "::ffff:203.0.113.0/0"} {
		_, err := overlay.ParseBanned(text)
		require.Error(t, err, text)
	}
}

// R84: a ban by hand ends connections at once, by peer and by prefix, and is refused once
// it is over.
func TestABanByHandDisconnects(t *testing.T) {
	g, c := testGenesis("bans"), newClock()
	a, b := start(t, g, c), start(t, g, c)
	a.join(b)
	id := b.host.ID()
	require.Error(t, a.BanByHand(overlay.Ban{Peer: id, Until: time.Unix(0, 0)}))
	until := c.now(g).Add(time.Hour)
	require.NoError(t, a.BanByHand(overlay.Ban{Peer: id, Until: until, Reason: "test"}))
	require.Eventually(t, func() bool { return len(a.host.Network().ConnsToPeer(id)) == 0 }, patience, pulse)
	require.True(t, a.Banned(id))
	require.Len(t, a.Bans(), 1)
	s, known := a.Score(id)
	require.True(t, known)
	require.Less(t, s.Tx, -160.0)

	saved := a.SaveReputation(10)
	require.True(t, a.Unban(overlay.Ban{Peer: id}))
	require.False(t, a.Unban(overlay.Ban{Peer: id}))
	require.False(t, a.Banned(id))
	a.LoadReputation(saved)
	require.True(t, a.Banned(id))
	require.True(t, a.Unban(overlay.Ban{Peer: id}))

	remote := b.host.Addrs()[0]
	require.False(t, a.BannedAddr(remote))
	require.NoError(t, a.BanByHand(overlay.Ban{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Until: until}))
	require.True(t, a.BannedAddr(remote))
	require.True(t, a.BannedAddr(multiaddr.StringCast("/ip6/::ffff:127.0.0.9/tcp/7410")), "however it is written")
	require.False(t, a.BannedAddr(multiaddr.StringCast("/ip6/::ffff:128.0.0.9/tcp/7410")))
}

// R83: identities that came and went cost nothing whoever shares their address: not an honest
// peer that stays, nor the nodes of a household that are all there.
func TestWhoSharesAnAddressIsNotBlamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuietNet(1, 0)
		q.Start()
		t.Cleanup(q.Close)
		g, c := testGenesis("one address"), newClock()
		n := startOn(t, q.host(t, 0), newChain(t, g, c))
		var household []*node
		for i := range 3 {
			h := startOn(t, q.hostAt(t, 9, 4001+i), newChain(t, g, c))
			require.NoError(t, h.Connect(t.Context(), n.addr()))
			household = append(household, h)
		}
		const gone = 12 // fewer than one address may open at once (node/netlimits.go)
		for i := range gone {
			h := q.hostAt(t, 9, 5000+i)
			h.SetStreamHandler(meshTx, func(network.Stream) {})
			greet(t, h, n)
			time.Sleep(3 * time.Second) // the router meets it
			require.NoError(t, h.Close())
		}
		time.Sleep(30 * time.Second)
		for _, h := range household {
			require.True(t, n.knows(h.host.ID()))
			s, _ := n.Score(h.host.ID())
			require.GreaterOrEqual(t, min(s.Tx, s.Block), 0.0, "%v", s.Terms)
		}
		require.Empty(t, n.seen.cut)
	})
}

// R84: who has its own address banned by misbehaving there takes no anchor of a node's away
// that has the same, but a ban by hand does.
func TestD11BanOfItsAddressCutsNoAnchor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuietNet(1, 0)
		q.Start()
		t.Cleanup(q.Close)
		g, c := testGenesis("anchor"), newClock()
		anchor, other := startOn(t, q.hostAt(t, 9, 4001), newChain(t, g, c)), startOn(t, q.hostAt(t, 9, 4002), newChain(t, g, c))
		saved := savedBook(t, anchor.host)
		n := startOn(t, q.host(t, 0), newChain(t, g, c), choosing(4, func(d *overlay.Dial) { d.Saved = saved }))
		eventually(t, func() bool { return n.knows(anchor.host.ID()) }, "the anchor is dialled")
		require.NoError(t, other.Connect(t.Context(), n.addr()))
		// Here is no gate: who is cut may come again.
		link := func(o *node) network.Conn { return n.host.Network().ConnsToPeer(o.host.ID())[0] }
		toAnchor, toOther := link(anchor), link(other)

		now, home := c.now(g), netip.MustParsePrefix("20.9.1.1/32")
		bans := peerscore.DefaultConfig().BansPerAddress
		n.LoadReputation(peerscore.Saved{At: now, Homes: []peerscore.HomeBans{{Prefix: home, Bans: bans - 1, Until: now.Add(time.Hour)}}})
		h := q.hostAt(t, 9, 5000)
		greet(t, h, n)
		for !n.Banned(h.ID()) {
			poke(t, h, n, meshTx, []byte{0x80, 0x00}) // a length that is not minimal
		}
		time.Sleep(10 * time.Second)
		at := anchor.host.Addrs()[0]
		require.True(t, n.BannedAddr(at))
		require.True(t, n.BannedAt(other.host.ID(), at))
		require.True(t, toOther.IsClosed())
		require.False(t, n.BannedAt(anchor.host.ID(), at))
		require.False(t, toAnchor.IsClosed())

		require.NoError(t, n.BanByHand(overlay.Ban{Prefix: netip.MustParsePrefix("20.9.0.0/16"), Until: now.Add(time.Minute)}))
		time.Sleep(10 * time.Second)
		require.True(t, n.BannedAt(anchor.host.ID(), at))
		require.True(t, toAnchor.IsClosed())
	})
}
