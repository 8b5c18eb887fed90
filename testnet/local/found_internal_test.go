package local

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/node/config"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/wire"
)

func TestDialGraph(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, MaxNodes).Draw(t, "nodes")
		dials := rapid.IntRange(1, 12).Draw(t, "dials")
		seed := rapid.Uint64().Draw(t, "seed")
		graph := dialGraph(seed, n, dials)
		require.Equal(t, graph, dialGraph(seed, n, dials))
		links := make([]int, n)
		for i, dialled := range graph {
			for _, j := range dialled {
				require.Less(t, j, i, "who dials comes later")
				links[i]++
				links[j]++
			}
			require.Len(t, slices.Compact(slices.Sorted(slices.Values(dialled))), len(dialled), "once each")
		}
		for i, l := range links {
			require.GreaterOrEqual(t, l, min(dials, n-1), "node %d", i)
		}
	})
}

func TestPlanRefuses(t *testing.T) {
	require.NoError(t, DefaultPlan().Validate())
	err := Plan{Nodes: 0, Producers: -1, Slot: time.Microsecond, Dials: 0}.Validate()
	for _, want := range []string{"nodes is 0", "producers is -1", "slot is 1µs", "dials is 0"} {
		require.ErrorContains(t, err, want)
	}
	require.ErrorContains(t, Plan{Nodes: 65, Producers: 1, Slot: time.Second, Dials: 1}.Validate(), "want 1 to 64")
}

// A new network is complete, and only its owner can read it.
func TestFound(t *testing.T) {
	dir := filepath.Join(shortDir(t), "net")
	s, err := prepare(t.Context(), dir, Plan{Nodes: 5, Producers: 2})
	require.NoError(t, err)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.EqualValues(t, 0o700, info.Mode().Perm())
	again, err := prepare(t.Context(), dir, Plan{})
	require.NoError(t, err)
	require.Equal(t, s, again)

	ids := make(map[string]bool)
	for i, d := range s.Nodes {
		ids[d.PeerID] = true
		settings, err := config.Load(config.Sources{File: filepath.Join(d.Home, "config.toml")})
		require.NoError(t, err)
		require.Equal(t, config.ProfileTestnet, settings.Config.Profile)
		require.Equal(t, "http://"+settings.Config.API.Listen, d.APIURL)
		for _, b := range settings.Config.Bootstrap {
			require.True(t, slices.ContainsFunc(s.Nodes[:i], func(o Daemon) bool { return slices.Contains(o.Addresses, b) }), "node %d dials %s", i, b)
		}
		key, err := keyfile.Load(filepath.Join(d.Home, "keys", "default.key"), nil)
		require.NoError(t, err)
		require.Equal(t, d.Wallet, keyfile.Address(key).Encode(prefix))
		text, err := os.ReadFile(filepath.Join(d.Home, "genesis.json"))
		require.NoError(t, err)
		g, err := wire.ParseGenesis(text)
		require.NoError(t, err)
		require.Equal(t, s.NetworkID, g.ID())
		require.True(t, slices.ContainsFunc(g.Allocations, func(a wire.Allocation) bool { return a.Address == keyfile.Address(key) && a.Amount == funds }))
		require.Equal(t, i < 2, d.Producer != "")
		require.Equal(t, i < 2, exists(filepath.Join(d.Home, "producer.key")))
	}
	require.Len(t, ids, 5)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestPrepareRefuses(t *testing.T) {
	top := shortDir(t)
	dir := filepath.Join(top, "net")
	_, err := prepare(t.Context(), dir, Plan{Nodes: 2})
	require.NoError(t, err)
	for name, p := range map[string]Plan{"nodes": {Nodes: 3}, "producers": {Producers: 1}, "slot": {Slot: time.Minute}} {
		_, err := prepare(t.Context(), dir, p)
		require.ErrorIs(t, err, Different)
		require.ErrorContains(t, err, name)
	}

	other := filepath.Join(top, "other")
	require.NoError(t, os.Mkdir(other, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(other, "file"), nil, 0o600))
	_, err = prepare(t.Context(), other, Plan{})
	require.ErrorIs(t, err, NotANetwork)

	// What could not be finished is not there.
	ended, end := context.WithCancel(t.Context())
	end()
	_, err = prepare(ended, filepath.Join(top, "ended"), Plan{})
	require.ErrorIs(t, err, context.Canceled)
	_, err = prepare(t.Context(), filepath.Join(top, "wrong"), Plan{Nodes: 2, Producers: 3})
	require.ErrorContains(t, err, "producers is 3")
	entries, err := os.ReadDir(top)
	require.NoError(t, err)
	require.Len(t, entries, 2, "%v", entries)
}

func TestStateIsNotBelieved(t *testing.T) {
	dir := filepath.Join(shortDir(t), "net")
	s, err := prepare(t.Context(), dir, Plan{Nodes: 2})
	require.NoError(t, err)
	good, err := json.Marshal(s)
	require.NoError(t, err)
	for name, text := range map[string]string{
		"empty":        "",
		"cut short":    string(good[:len(good)/2]),
		"other format": strings.Replace(string(good), stateFormat, "grapevine-testnet/2", 1),
		"no nodes":     `{"format":"` + stateFormat + `"}`,
		"escaping":     strings.Replace(string(good), "node-01", "../x", 1),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, StateFile), []byte(text), 0o600))
		_, err := readState(dir)
		require.ErrorIs(t, err, Damaged, name)
	}
	// A process that was alive when the machine was switched off is not now.
	s.Phase, s.Supervisor, s.Nodes[1].PID = On, os.Getpid(), os.Getpid()
	require.NoError(t, s.save(dir))
	st, err := Look(t.Context(), dir)
	require.NoError(t, err)
	require.Equal(t, Off, st.Phase)
	require.False(t, st.Daemons[1].Alive)
	require.False(t, st.Ready)
	// A folder that was moved has its paths where it is.
	moved := filepath.Join(filepath.Dir(dir), "moved")
	require.NoError(t, os.Rename(dir, moved))
	st, err = Look(t.Context(), moved)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(moved, "node-01", "api.sock"), st.Daemons[1].APISocket)
}

// Where a scenario names a transport, every daemon dials over it, and over both otherwise.
func TestTransportOfDials(t *testing.T) {
	for transport, ways := range map[string][]string{"tcp": {"/tcp/"}, "quic": {"/quic-v1/"}, "": {"/quic-v1/", "/tcp/"}} {
		dir := filepath.Join(shortDir(t), "net")
		s, err := found(t.Context(), dir, Plan{Nodes: 5, Producers: 1, Slot: time.Second, Dials: 4, Seed: 1, Transport: transport}, company{})
		require.NoError(t, err)
		seen := make(map[string]bool)
		for _, d := range s.Nodes {
			settings, err := config.Load(config.Sources{File: filepath.Join(d.Home, "config.toml")})
			require.NoError(t, err)
			for _, b := range settings.Config.Bootstrap {
				for _, way := range []string{"/tcp/", "/quic-v1/"} {
					if strings.Contains(b, way) {
						seen[way] = true
					}
				}
			}
		}
		require.Equal(t, ways, slices.Sorted(maps.Keys(seen)), "transport %q", transport)
	}
}
