package node_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TestARestartedNodeDoesNotStartEmpty has transactions that only peers sent in
// its pool again, without any peer; a snapshot that was damaged is dropped.
func TestARestartedNodeDoesNotStartEmpty(t *testing.T) {
	g := genesisOf("snapshot", keys(1)...)
	source := start(t, configOf(t, newHome(t, g, nil), vfs.NewMem()))
	disk := vfs.NewMem()
	cfg := configOf(t, newHome(t, g, nil), disk)
	cfg.Bootstrap = []string{source.addr()}
	n := start(t, cfg)
	var txs []*wire.Transaction
	for i := range wallets {
		for nonce := range uint64(40) {
			tx := payment(g, i, nonce)
			txs = append(txs, tx)
			source.submit(tx)
		}
	}
	pooled := func(n *running) bool {
		for _, tx := range txs {
			if n.state(tx.ID()) != api.Pending {
				return false
			}
		}
		return true
	}
	eventually(t, "gossip", func() bool { return pooled(n) })
	require.NoError(t, n.end())
	require.NoError(t, source.end())

	cfg.Bootstrap = nil
	failed := func(ctx context.Context, cfg node.Config) error {
		n, err := node.New(cfg)
		require.NoError(t, err)
		return n.Run(ctx)
	}
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	deaf := cfg
	deaf.ListenAddrs = []string{fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", taken.Addr().(*net.TCPAddr).Port)}
	require.Error(t, failed(t.Context(), deaf))
	ended, end := context.WithCancel(t.Context())
	end()
	require.NoError(t, failed(ended, cfg))
	n = start(t, cfg)
	eventually(t, "the pool as it was, whatever starts failed meanwhile", func() bool { return pooled(n) })
	require.NoError(t, n.end())

	path := disk.PathJoin(cfg.Home, "data", "mempool")
	f, err := disk.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], 3_000)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte{^b[0]}, 3_000)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	var log journal
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	n = start(t, cfg)
	eventually(t, "a line that says so", func() bool { return log.has("level=WARN", "snapshot of the mempool", "damaged") })
	require.Equal(t, api.Unknown, n.state(txs[0].ID()))
}
