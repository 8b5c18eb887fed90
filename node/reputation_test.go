package node_test

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
)

// TestBansSurviveAKill: what the operator was told is on disk, whatever the process does
// next.
//
// R84: bans and reputations outlive the process.
func TestBansSurviveAKill(t *testing.T) {
	const enemy = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
	g := genesisOf("bans", keyOf("producer", 0))
	home := newHome(t, g, nil)
	fs := vfs.NewCrashableMem()
	n := start(t, configOf(t, home, fs))
	warden := n.Backend()
	ctx := t.Context()
	_, err := warden.Ban(ctx, api.BanRequest{Subject: enemy, For: time.Hour, Reason: "told me so"})
	require.NoError(t, err)
	_, err = warden.Ban(ctx, api.BanRequest{Subject: "203.0.113.9/24", For: time.Hour})
	require.NoError(t, err)
	_, err = warden.Ban(ctx, api.BanRequest{Subject: n.ID().String(), For: time.Hour})
	require.Error(t, err, "nobody bans itself")
	want, err := warden.Bans(ctx)
	require.NoError(t, err)
	require.Len(t, want, 2)

	after := fs.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, n.end())
	n = start(t, configOf(t, home, after))
	got, err := n.Backend().Bans(ctx)
	require.NoError(t, err)
	require.Equal(t, want, got)
	s, err := n.Backend().Score(ctx, enemy)
	require.NoError(t, err)
	require.Less(t, s.Score, -160.0)
	_, err = n.Backend().Unban(ctx, "203.0.113.0/24")
	require.NoError(t, err)
	_, err = n.Backend().Unban(ctx, "203.0.113.0/24")
	require.ErrorIs(t, err, api.ErrNotFound)
}

// R84: a ban is lifted by the name under which it was confirmed and is listed, and by that which the
// operator gave.
func TestABanIsFoundByItsNames(t *testing.T) {
	n := start(t, configOf(t, newHome(t, genesisOf("names of bans", keyOf("producer", 0)), nil), vfs.NewMem()))
	warden := n.Backend()
	ctx := t.Context()
	for given, name := range map[string]string{
		"203.0.113.9/24":         "203.0.113.0/24",
		"203.0.113.9":            "203.0.113.9/32",
		"::ffff:203.0.113.9":     "203.0.113.9/32",
		"::ffff:203.0.113.0/120": "203.0.113.0/24",
		"2001:db8::1/48":         "2001:db8::/48",
	} {
		for _, lift := range []string{given, name} {
			b, err := warden.Ban(ctx, api.BanRequest{Subject: given, For: time.Hour})
			require.NoError(t, err, given)
			require.Equal(t, name, b.Subject)
			list, err := warden.Bans(ctx)
			require.NoError(t, err)
			require.Equal(t, []api.Ban{b}, list)
			_, err = warden.Unban(ctx, lift)
			require.NoError(t, err, "%s by %s", given, lift)
		}
	}
	_, err := warden.Ban(ctx, api.BanRequest{Subject: "::ffff:203.0.113.0/90", For: time.Hour})
	require.ErrorContains(t, err, "at least 96 bits")
}
