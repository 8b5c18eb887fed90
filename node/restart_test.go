package node_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/node/store"
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

// fullPool is how many transactions the promise on restarts speaks of.
const fullPool = 100_000

// mostRestart is the promise. The benchmark holds it for processor time: the clock counts
// what else the machine does.
const mostRestart = 2 * time.Second

// BenchmarkRestart measures how long a node that was killed takes from nothing
// until it is ready, and until its pool is what it was: fullPool transactions
// that were submitted to it, or that peers sent, on a real disk. It fails where
// that takes more than mostRestart.
func BenchmarkRestart(b *testing.B) {
	for _, local := range []bool{true, false} {
		b.Run(fmt.Sprintf("local=%v", local), func(b *testing.B) {
			killed := killedHome(b, local)
			for b.Loop() {
				b.StopTimer()
				home := filepath.Join(b.TempDir(), "home")
				copyHome(b, home, killed)
				syscall.Sync()
				b.StartTimer()
				restart(b, restartConfig(home))
			}
		})
	}
}

func restartConfig(home string) node.Config {
	cfg := node.DefaultConfig(home)
	cfg.Profile, cfg.API.Disabled = "testnet", true
	cfg.ListenAddrs = []string{"/ip4/127.0.0.1/tcp/0"}
	return cfg
}

// restart runs a node until its pool is full, and says what that took.
func restart(b *testing.B, cfg node.Config) {
	begun, used := time.Now(), cpu()
	n, err := node.New(cfg)
	require.NoError(b, err)
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	select {
	case <-n.Ready():
	case err := <-done:
		require.NoError(b, err)
	}
	b.ReportMetric(time.Since(begun).Seconds(), "s-to-ready")
	b.ReportMetric((cpu() - used).Seconds(), "cpu-s-to-ready")
	for {
		pool, err := n.Backend().Mempool(b.Context())
		require.NoError(b, err)
		if pool.Count == fullPool {
			break
		}
		require.Less(b, time.Since(begun), time.Minute)
		time.Sleep(time.Millisecond)
	}
	took := cpu() - used
	b.ReportMetric(time.Since(begun).Seconds(), "s-to-full")
	b.ReportMetric(took.Seconds(), "cpu-s-to-full")
	if took > mostRestart {
		b.Errorf("the restart took %v of processor time, want %v", took, mostRestart)
	}
	b.StopTimer()
	stop()
	require.NoError(b, <-done)
	b.StartTimer()
}

func copyHome(b *testing.B, to, from string) {
	require.NoError(b, os.CopyFS(to, os.DirFS(from)))
	require.NoError(b, os.Chmod(filepath.Join(to, "node.key"), 0o600))
}

// killedHome is what a kill leaves of a home with a full pool.
func killedHome(b *testing.B, local bool) string {
	const senders = 100
	g := genesisOf("restart with a full pool", keys(1)...)
	g.Allocations = nil
	wallet := make([]ed25519.PrivateKey, senders)
	for i := range wallet {
		wallet[i] = keyOf("sender", i)
		g.Allocations = append(g.Allocations, wire.Allocation{Address: keyfile.Address(wallet[i]), Amount: 1_000_000_000})
	}
	sortAllocations(g.Allocations)
	home := filepath.Join(b.TempDir(), "home")
	require.NoError(b, node.InitHome(home, node.InitOptions{Genesis: g}))
	n, err := node.New(restartConfig(home))
	require.NoError(b, err)
	require.NoError(b, n.Close())

	s, err := store.Open(filepath.Join(home, "data"), store.Options{Network: g.ID()})
	require.NoError(b, err)
	var wg sync.WaitGroup
	errs, raws := make([]error, senders), make([][][]byte, senders)
	for i := range wallet {
		wg.Go(func() {
			for nonce := range uint64(fullPool / senders) {
				tx := wire.SignTx(g.ID(), wallet[i], &wire.TxBody{
					Version: wire.TxVersion, Sender: keyfile.Address(wallet[i]), Nonce: nonce, Fee: 1_000, To: wire.Address{1}, Amount: 1,
				})
				raws[i] = append(raws[i], tx.Bytes())
				if local {
					errs[i] = errors.Join(errs[i], s.PutLocalTx(tx, time.Now()))
				}
			}
		})
	}
	wg.Wait()
	require.NoError(b, errors.Join(errs...))
	if !local {
		_, err = s.WriteSnapshot(slices.Values(slices.Concat(raws...)))
		require.NoError(b, err)
	}
	killed := filepath.Join(b.TempDir(), "killed")
	copyHome(b, killed, home)
	require.NoError(b, s.Close())
	return killed
}
