package store_test

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// progress is what the writers have been told is done. Each number is raised
// before the next thing is begun and read before a crash is made.
type progress struct {
	height atomic.Uint64 // of the last commit acknowledged
	slot   atomic.Uint64
	txs    atomic.Uint64 // local transactions 0…txs-1
}

const crashHeights, crashTxs = 60, 200

// TestCrashes kills the machine at many random moments while blocks, slots and
// local transactions are written at once. After each, what was acknowledged is
// there, blocks are whole or absent, and head, accounts and indexes agree.
func TestCrashes(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed(t), 0))
	chain := make([]*wire.Block, 0, crashHeights)
	parent := network.GenesisBlock()
	for h := range uint64(crashHeights) {
		b := block(h+1, h+1, parent, tx(1000+h, 10+rng.IntN(40_000)), tx(2000+h, 30))
		chain, parent = append(chain, b), b.ID()
	}

	fs := crashdisk.New()
	s := open(t, fs)
	require.NoError(t, s.Init(genesis()))
	var did progress
	var wg sync.WaitGroup
	wg.Go(func() { writeChain(t, s, chain, &did) })
	wg.Go(func() {
		for n := range uint64(crashTxs) {
			if err := s.PutLocalTx(tx(n, 3_000), time.UnixMilli(int64(n))); err != nil {
				t.Errorf("transaction %d: %v", n, err)
			}
			did.txs.Store(n + 1)
		}
	})
	wg.Go(func() {
		for n := range uint64(crashTxs) {
			if err := s.SetSignedSlot(n + 1); err != nil {
				t.Errorf("slot %d: %v", n, err)
			}
			did.slot.Store(n + 1)
		}
	})
	finished := make(chan struct{})
	go func() { wg.Wait(); close(finished) }()

	type crash struct {
		fs      *crashdisk.Disk
		atLeast [3]uint64
	}
	var crashes []crash
	for running, last := true, uint64(0); running; {
		select {
		case <-finished:
			running = false
		default:
		}
		atLeast := [3]uint64{did.height.Load(), did.slot.Load(), did.txs.Load()}
		if steps := atLeast[0] + atLeast[1] + atLeast[2]; running && steps-last < uint64(rng.IntN(60)) {
			runtime.Gosched()
			continue
		} else {
			last = steps
		}
		crashes = append(crashes, crash{fs.Crash(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng}), atLeast})
	}
	t.Logf("%d crashes", len(crashes))
	require.Greater(t, len(crashes), 10)
	for _, c := range crashes {
		survey(t, c.fs, chain, c.atLeast)
	}
}

func writeChain(t *testing.T, s *store.Store, chain []*wire.Block, did *progress) {
	final := genesis().Final
	for i, b := range chain {
		var along []*wire.Block
		if i%2 == 0 {
			along = []*wire.Block{b}
		} else if err := s.PutBlock(b); err != nil {
			t.Errorf("put %d: %v", i, err)
		}
		c := extend(b, final, 1000-uint64(i+1))
		if i >= 3 { // finality follows three blocks behind
			final = ref(chain[i-3])
			c.Final, c.NewlyFinal = final, []ledger.Ref{final}
		}
		if err := s.Commit(c, along...); err != nil {
			t.Errorf("commit %d: %v", i, err)
		}
		did.height.Store(uint64(i + 1))
	}
}

// survey opens what a crash left and holds it against what must be there.
func survey(t *testing.T, fs *crashdisk.Disk, chain []*wire.Block, atLeast [3]uint64) {
	t.Helper()
	s, err := store.Open("data", options(fs))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()

	saved, found, err := s.Load()
	require.NoError(t, err)
	require.True(t, found)
	h := saved.Head.Height
	require.GreaterOrEqual(t, h, atLeast[0])
	if h > 0 {
		require.Equal(t, ref(chain[h-1]), saved.Head)
	}
	require.Equal(t, ledger.Account{Balance: 1000 - h, Nonce: h}, saved.Accounts[0].Account, "accounts belong to the head")
	require.Len(t, saved.Tree, int(h-saved.Final.Height))
	for i, b := range chain {
		height := uint64(i + 1)
		got, err := s.Block(b.ID())
		if height <= h || !errors.Is(err, store.NotFound) {
			require.NoError(t, err)
			require.Equal(t, b.AppendTo(nil), got.AppendTo(nil), "whole or absent")
		}
		id, indexed, err := s.BlockAt(height)
		require.NoError(t, err)
		require.Equal(t, height <= h, indexed)
		at, included, err := s.TxBlock(b.Txs[0].ID())
		require.NoError(t, err)
		require.Equal(t, height <= h, included)
		if indexed {
			require.Equal(t, b.ID(), id)
			require.Equal(t, b.ID(), at)
		}
	}
	slot, err := s.SignedSlot()
	require.NoError(t, err)
	require.GreaterOrEqual(t, slot, atLeast[1])
	local, err := s.LocalTxs()
	require.NoError(t, err)
	require.GreaterOrEqual(t, uint64(len(local)), atLeast[2])
	for i, l := range local {
		require.Equal(t, tx(uint64(i), 3_000).ID(), l.Tx.ID())
	}
}
