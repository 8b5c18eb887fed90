package node_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/config"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
)

func TestInitHome(t *testing.T) {
	g := genesisOf("init", keys(1)...)
	home := filepath.Join(t.TempDir(), "deep", "home")
	require.NoError(t, node.InitHome(home, node.InitOptions{
		Genesis: g, ProducerFile: producerFile(t, keys(1)[0]), Bootstrap: []string{"/ip4/192.0.2.1/tcp/1/p2p/12D3KooWAQyqtYQT4TJYC1CaDJz12s9ytbF2wUB1EpMLWk5RGBf1"},
	}))
	info, err := os.Stat(home)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	for _, path := range []string{node.NodeKeyPath(home), node.ProducerKeyPath(home), node.ConfigPath(home)} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), path)
	}
	key, err := keyfile.Load(node.ProducerKeyPath(home), nil)
	require.NoError(t, err)
	require.Equal(t, keys(1)[0], key)
	e, err := config.Load(config.Sources{File: node.ConfigPath(home)})
	require.NoError(t, err)
	require.Len(t, e.Config.Bootstrap, 1)

	require.ErrorContains(t, node.InitHome(home, node.InitOptions{Genesis: g}), "exists already")
	require.Error(t, node.InitHome(filepath.Join(t.TempDir(), "x"), node.InitOptions{}))

	// A failure half-way leaves nothing.
	home = filepath.Join(t.TempDir(), "home")
	require.NoError(t, os.MkdirAll(home, 0o700))
	require.NoError(t, os.WriteFile(node.ProducerKeyPath(home), nil, 0o600))
	require.Error(t, node.InitHome(home, node.InitOptions{Genesis: g, Producer: keys(1)[0]}))
	files, err := os.ReadDir(home)
	require.NoError(t, err)
	require.Len(t, files, 1)
}

func TestWhatCannotBeOpenedIsNamedWithARemedy(t *testing.T) {
	g := genesisOf("bad", keys(1)...)
	write := func(path func(string) string, text string) func(*testing.T, string) {
		return func(t *testing.T, home string) { require.NoError(t, os.WriteFile(path(home), []byte(text), 0o600)) }
	}
	tests := []struct {
		name string
		harm func(t *testing.T, home string)
		want []string
	}{
		{"no home", func(t *testing.T, home string) { require.NoError(t, os.RemoveAll(home)) }, []string{"grapevine init"}},
		{"no genesis", func(t *testing.T, home string) { require.NoError(t, os.Remove(node.GenesisPath(home))) }, []string{"no genesis.json", "copy"}},
		{"genesis cut", write(node.GenesisPath, `{"network": "x"`), []string{"genesis.json", "anew"}},
		{"no node key", func(t *testing.T, home string) { require.NoError(t, os.Remove(node.NodeKeyPath(home))) }, []string{"no node.key", "backup"}},
		{"node key cut", write(node.NodeKeyPath, ""), []string{"node.key", "damaged", "backup"}},
		{"open node key", func(t *testing.T, home string) { require.NoError(t, os.Chmod(node.NodeKeyPath(home), 0o644)) }, []string{"node.key", "chmod 600"}},
		{"bad producer key", write(node.ProducerKeyPath, "hello"), []string{"producer.key", "not a Grapevine key file"}},
		{"sealed producer key", func(t *testing.T, home string) {
			require.NoError(t, keyfile.Create(node.ProducerKeyPath(home), keys(1)[0], "secret"))
		}, []string{"producer.key", "passphrase"}},
		{"foreign data", func(t *testing.T, home string) {
			require.NoError(t, os.MkdirAll(filepath.Join(home, "data"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(home, "data", "x.jpg"), nil, 0o600))
		}, []string{"data", "not a Grapevine store"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			home := newHome(t, g, nil)
			tt.harm(t, home)
			_, err := node.New(configOf(t, home, nil))
			require.Error(t, err)
			require.ErrorContains(t, err, home)
			for _, part := range tt.want {
				require.ErrorContains(t, err, part)
			}
		})
	}
}

func TestASecondDaemonOnOneHomeIsRefused(t *testing.T) {
	g := genesisOf("second", keys(1)...)
	home := newHome(t, g, nil)
	first, err := node.New(configOf(t, home, vfs.NewMem()))
	require.NoError(t, err)
	_, err = node.New(configOf(t, home, vfs.NewMem()))
	require.ErrorContains(t, err, home)
	require.ErrorContains(t, err, "in use by process")
	require.NoError(t, first.Close())
	require.NoError(t, first.Close(), "twice")
	require.Error(t, first.Run(t.Context()), "it is closed")
	again, err := node.New(configOf(t, home, vfs.NewMem()))
	require.NoError(t, err)
	require.NoError(t, again.Close())
}

func TestAnOccupiedPortIsNamed(t *testing.T) {
	g := genesisOf("port", keys(1)...)
	first := start(t, configOf(t, newHome(t, g, nil), vfs.NewMem()))
	for _, addr := range first.Addrs() {
		cfg := configOf(t, newHome(t, g, nil), vfs.NewMem())
		cfg.ListenAddrs = []string{addr.String()}
		n, err := node.New(cfg)
		require.NoError(t, err)
		err = n.Run(t.Context())
		require.ErrorContains(t, err, addr.String())
		require.ErrorContains(t, err, "address already in use")
		require.ErrorContains(t, err, "--listen")
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	cfg := configOf(t, newHome(t, g, nil), vfs.NewMem())
	cfg.API = node.API{Listen: l.Addr().String()}
	n, err := node.New(cfg)
	require.NoError(t, err)
	require.ErrorContains(t, n.Run(t.Context()), l.Addr().String())
}

func TestRunLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	producers := keys(1)
	g := genesisOf("leak", producers...)
	cfg := configOf(t, newHome(t, g, producers[0]), vfs.NewMem())
	cfg.API = node.API{Socket: filepath.Join(cfg.Home, "api.sock"), Listen: "127.0.0.1:0"}
	n := start(t, cfg)
	client, err := api.NewClient(api.Options{Socket: cfg.API.Socket})
	require.NoError(t, err)
	s, err := client.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, n.ID().String(), s.PeerID)
	require.True(t, strings.HasPrefix(n.APIURL(), "http://127.0.0.1:"))
	eventually(t, "a block", func() bool { return n.head().Height > 0 })
	require.NoError(t, n.end())
	_, err = n.Backend().TxStatus(t.Context(), payment(g, 0, 0).ID())
	require.ErrorIs(t, err, api.ErrStopping, "asked after the end")
}
