package store_test

import (
	"bytes"
	"errors"
	"fmt"
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

const crashHeights, crashTxs = 30, 90

// TestCrashes kills the machine at many random moments while blocks, slots and
// local transactions are written at once. After each, what was acknowledged is
// there, blocks are whole or absent, and head, accounts and indexes agree.
func TestCrashes(t *testing.T) {
	want := 1_000
	if soak() {
		want = 10_000
	}
	if testing.Short() {
		want = 100
	}
	rng := rand.New(rand.NewPCG(seed(t), 0))
	crashes, rounds := 0, 0
	for ; crashes < want && !t.Failed(); rounds++ {
		t.Run("", func(t *testing.T) { crashes += crashRound(t, rng) }) // so that its disk is freed with it
	}
	t.Logf("%d crashes in %d rounds", crashes, rounds)
}

type crash struct {
	fs      *crashdisk.Disk
	atLeast [3]uint64
}

// crashRound writes once through, and returns how often it crashed meanwhile.
func crashRound(t *testing.T, rng *rand.Rand) (crashes int) {
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
	var writers sync.WaitGroup
	writers.Go(func() { writeChain(t, s, chain, &did) })
	writers.Go(func() { writeTxs(t, s, &did) })
	writers.Go(func() {
		for n := range uint64(crashTxs) {
			if err := s.SetSignedSlot(n + 1); err != nil {
				t.Errorf("slot %d: %v", n, err)
			}
			did.slot.Store(n + 1)
		}
	})
	finished := make(chan struct{})
	go func() { writers.Wait(); close(finished) }()

	found := make(chan crash) // what a disk holds takes memory, so none waits
	var surveyors sync.WaitGroup
	for range 2 {
		surveyors.Go(func() {
			for c := range found {
				if err := survey(c.fs, chain, c.atLeast); err != nil {
					t.Errorf("after a crash at %v: %v", c.atLeast, err)
				}
			}
		})
	}
	for running, last := true, uint64(0); running; {
		select {
		case <-finished:
			running = false
		default:
		}
		atLeast := [3]uint64{did.height.Load(), did.slot.Load(), did.txs.Load()}
		if steps := atLeast[0] + atLeast[1] + atLeast[2]; running && steps-last < uint64(rng.IntN(6)) {
			runtime.Gosched()
			continue
		} else {
			last = steps
		}
		crashes++
		found <- crash{fs.Crash(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng}), atLeast}
	}
	close(found)
	surveyors.Wait()
	require.NoError(t, s.Close())
	return crashes
}

// writeTxs keeps local transactions and ends every third one.
func writeTxs(t *testing.T, s *store.Store, did *progress) {
	for n := range uint64(crashTxs) {
		if err := s.PutLocalTx(tx(n, 3_000), time.UnixMilli(int64(n))); err != nil {
			t.Errorf("transaction %d: %v", n, err)
		}
		if n%3 == 2 {
			if err := s.EndLocalTx(tx(n-1, 3_000).ID(), "final"); err != nil {
				t.Errorf("end of transaction %d: %v", n-1, err)
			}
		}
		did.txs.Store(n + 1)
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
func survey(fs vfs.FS, chain []*wire.Block, atLeast [3]uint64) (err error) {
	s, err := store.Open("data", options(fs))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	saved, found, err := s.Load()
	if err != nil || !found {
		return fmt.Errorf("load: found %v, %w", found, err)
	}
	h := saved.Head.Height
	switch account := saved.Accounts[0].Account; {
	case h < atLeast[0]:
		return fmt.Errorf("the head is at %d", h)
	case h > 0 && saved.Head != ref(chain[h-1]):
		return fmt.Errorf("the head is %v", saved.Head)
	case account != ledger.Account{Balance: 1000 - h, Nonce: h}:
		return fmt.Errorf("the account at %d is %+v", h, account)
	case len(saved.Tree) != int(h-saved.Final.Height):
		return fmt.Errorf("%d headers from %d to %d", len(saved.Tree), saved.Final.Height, h)
	}
	for i, b := range chain {
		if err := surveyBlock(s, b, uint64(i+1) <= h); err != nil {
			return fmt.Errorf("block %d of %d: %w", i+1, h, err)
		}
	}
	slot, err := s.SignedSlot()
	if err != nil || slot < atLeast[1] {
		return fmt.Errorf("slot %d: %w", slot, err)
	}
	for n := range atLeast[2] {
		record, ok, err := s.LocalTx(tx(n, 3_000).ID())
		if ended := n%3 == 1 && n+2 <= atLeast[2]; err != nil || !ok || ended && record.End != "final" {
			return fmt.Errorf("local transaction %d: %v, end %q: %w", n, ok, record.End, err)
		}
	}
	_, err = s.LocalTxs()
	return err
}

func surveyBlock(s *store.Store, b *wire.Block, committed bool) error {
	got, err := s.Block(b.ID())
	switch {
	case err == nil && !bytes.Equal(b.AppendTo(nil), got.AppendTo(nil)):
		return errors.New("it is another")
	case err != nil && (committed || !errors.Is(err, store.NotFound)):
		return err
	}
	id, indexed, err := s.BlockAt(b.Header.Body().Height)
	if err != nil || indexed != committed || indexed && id != b.ID() {
		return fmt.Errorf("by height: %v, %s: %w", indexed, id, err)
	}
	id, indexed, err = s.TxBlock(b.Txs[0].ID())
	if err != nil || indexed != committed || indexed && id != b.ID() {
		return fmt.Errorf("by transaction: %v, %s: %w", indexed, id, err)
	}
	return nil
}
