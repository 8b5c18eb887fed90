package overlay_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
)

func TestParseBanned(t *testing.T) {
	for text, want := range map[string]string{
		"203.0.113.9":     "203.0.113.9/32",
		"203.0.113.9/24":  "203.0.113.0/24",
		"::ffff:10.0.0.1": "10.0.0.1/32",
		"2001:db8::1/48":  "2001:db8::/48",
		"12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN": "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
	} {
		b, err := overlay.ParseBanned(text)
		require.NoError(t, err, text)
		require.Equal(t, want, b.String())
	}
	for _, text := range []string{"", "x", "203.0.113", "203.0.113.0/33", "fe80::1%eth0"} {
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
}
