package node_test

import (
	"crypto/ed25519"
	"errors"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/wire"
)

// cpu is the processor time of this process so far. On a machine that others
// load, too, it says more than the clock.
func cpu() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkRestart measures how long a node takes from nothing to ready with
// 100,000 transactions in its pool that were submitted to it, on a real disk.
func BenchmarkRestart(b *testing.B) {
	const senders, each = 100, 1_000
	g := genesisOf("restart with a full pool", keys(1)...)
	g.Allocations = nil
	wallet := make([]ed25519.PrivateKey, senders)
	for i := range wallet {
		wallet[i] = keyOf("sender", i)
		g.Allocations = append(g.Allocations, wire.Allocation{Address: keyfile.Address(wallet[i]), Amount: 1_000_000_000})
	}
	sortAllocations(g.Allocations)
	home := b.TempDir() + "/home"
	require.NoError(b, node.InitHome(home, node.InitOptions{Genesis: g}))
	cfg := node.DefaultConfig(home)
	cfg.Profile, cfg.API.Disabled = "testnet", true
	cfg.ListenAddrs = []string{"/ip4/127.0.0.1/tcp/0"}

	n, err := node.New(cfg)
	require.NoError(b, err)
	var wg sync.WaitGroup
	errs := make([]error, senders)
	for i := range wallet {
		wg.Go(func() {
			for nonce := range uint64(each) {
				tx := wire.SignTx(g.ID(), wallet[i], &wire.TxBody{
					Version: wire.TxVersion, Sender: keyfile.Address(wallet[i]), Nonce: nonce, Fee: 1_000, To: wire.Address{1}, Amount: 1,
				})
				if _, err := n.Backend().Submit(b.Context(), tx.Bytes()); err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	wg.Wait()
	require.NoError(b, errors.Join(errs...))
	require.NoError(b, n.Close())

	for b.Loop() {
		begun, used := time.Now(), cpu()
		n, err := node.New(cfg)
		require.NoError(b, err)
		opened, took := time.Since(begun), cpu()-used
		b.StopTimer()
		pool, err := n.Backend().Mempool(b.Context())
		require.NoError(b, err)
		require.Equal(b, senders*each, pool.Count)
		require.NoError(b, n.Close())
		b.ReportMetric(opened.Seconds(), "s/restart")
		b.ReportMetric(took.Seconds(), "cpu-s/restart")
		b.StartTimer()
	}
}
