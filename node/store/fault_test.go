package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// soak tells whether the long form of the tests is wanted.
func soak() bool { return os.Getenv("GRAPEVINE_SOAK") != "" }

// run lets a store mend itself until the test ends.
func run(t *testing.T, s *store.Store, w store.Watch) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx, w); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

// errands is a series of every kind of write that a store does, each tried
// again until it is done.
type errands struct {
	t     *testing.T
	s     *store.Store
	chain []*wire.Block

	failures int // refusals on the way
}

const errandRounds = 12

func newErrands(t *testing.T, s *store.Store) *errands {
	e := &errands{t: t, s: s}
	parent := network.GenesisBlock()
	for h := range uint64(errandRounds) {
		b := block(h+1, h+1, parent, tx(1000+h, 60_000), tx(2000+h, 30))
		e.chain, parent = append(e.chain, b), b.ID()
	}
	return e
}

// patience is how long a write may go on failing after the disk is well. How soon it succeeds is
// tested elsewhere; here sixteen stores are opened again at once, under the race detector too.
const patience = time.Minute

// insist does one write until it succeeds. A refusal says that the disk failed,
// and why.
func (e *errands) insist(what string, do func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := do()
		if err == nil {
			return nil
		}
		e.failures++
		if !errors.Is(err, store.Failed) {
			return fmt.Errorf("%s: %w", what, err)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not again: %w", what, err)
		}
		time.Sleep(time.Millisecond) //nolint:forbidigo // the disk is polled, as wallets do
	}
}

// commit is insist for a change, which is not committed twice.
func (e *errands) commit(c *ledger.Change, b *wire.Block) error {
	doubt := false
	return e.insist("commit", func() error {
		if err := e.s.Err(); err != nil {
			return err
		}
		if doubt {
			if done, err := e.s.Committed(c); err != nil || done {
				return err
			}
		}
		doubt = true
		return e.s.Commit(c, b)
	})
}

func (e *errands) run() error {
	final := genesis().Final
	for i, b := range e.chain {
		n := uint64(i)
		c := extend(b, final, 1000-(n+1))
		if i >= 3 {
			final = ref(e.chain[i-3])
			c.Final, c.NewlyFinal = final, []ledger.Ref{final}
		}
		if err := errors.Join(
			e.insist("slot", func() error { return e.s.SetSignedSlot(n + 1) }),
			e.insist("transaction", func() error { return e.s.PutLocalTx(tx(n, 40_000), time.UnixMilli(int64(n))) }),
			e.commit(c, b),
		); err != nil {
			return err
		}
		if i%3 == 2 {
			if err := e.insist("end", func() error { return e.s.EndLocalTx(tx(n-1, 40_000).ID(), "final") }); err != nil {
				return err
			}
		}
	}
	return nil
}

// check holds what a store has against all errands, done.
func (e *errands) check(s *store.Store) error {
	saved, found, err := s.Load()
	if err != nil || !found || saved.Head != ref(e.chain[errandRounds-1]) {
		return fmt.Errorf("head: %+v, %v, %w", saved.Head, found, err)
	}
	if a := saved.Accounts[0].Account; a != (ledger.Account{Balance: 1000 - errandRounds, Nonce: errandRounds}) {
		return fmt.Errorf("account: %+v", a)
	}
	if slot, err := s.SignedSlot(); err != nil || slot != errandRounds {
		return fmt.Errorf("slot: %d, %w", slot, err)
	}
	for i, b := range e.chain {
		got, err := s.Block(b.ID())
		if err != nil || got.ID() != b.ID() {
			return fmt.Errorf("block %d: %w", i, err)
		}
		if at, ok, err := s.TxBlock(b.Txs[0].ID()); err != nil || !ok || at != b.ID() {
			return fmt.Errorf("place of a transaction of block %d: %w", i, err)
		}
		record, ok, err := s.LocalTx(tx(uint64(i), 40_000).ID())
		if err != nil || !ok || (record.End != "") != (i%3 == 1) {
			return fmt.Errorf("local transaction %d: %v, %q, %w", i, ok, record.End, err)
		}
	}
	return nil
}

// TestEveryWriteMayFail lets every single write of a series fail in turn, once
// for a full disk and once for a broken one. Whoever asked is told, the store
// mends itself, and nothing that was acknowledged is lost, nor done twice.
func TestEveryWriteMayFail(t *testing.T) {
	writes := func() int {
		faults := crashdisk.WithFaults(vfs.NewMem())
		s := open(t, faults)
		require.NoError(t, s.Init(genesis()))
		before := faults.Writes()
		e := newErrands(t, s)
		require.NoError(t, e.run())
		require.NoError(t, e.check(s))
		return faults.Writes() - before
	}()
	t.Logf("%d writes", writes)
	tried, refused := 0, 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	places := make(chan struct{}, 16) // a store that failed is mostly waiting
	for i, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO} {
		for k := 1; k <= writes; k++ {
			if !soak() && k%2 != i || testing.Short() && k%14 != i { // each with one of the two
				continue
			}
			tried++
			places <- struct{}{}
			wg.Go(func() {
				defer func() { <-places }()
				failures, err := failOnce(t, k, errno)
				if err != nil {
					t.Errorf("write %d of %d fails with %v: %v", k, writes, errno, err)
				}
				mu.Lock()
				defer mu.Unlock()
				refused += min(failures, 1)
			})
		}
	}
	wg.Wait()
	t.Logf("%d of %d failures reached a caller", refused, tried)
	require.Greater(t, refused, tried/2)
}

func failOnce(t *testing.T, k int, errno syscall.Errno) (failures int, err error) {
	disk := crashdisk.New()
	faults := crashdisk.WithFaults(disk)
	s, err := store.Open("data", options(faults))
	if err != nil {
		return 0, err
	}
	if err := s.Init(genesis()); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx, store.Watch{}) }()
	e := newErrands(t, s)
	faults.FailAt(k, errno)
	err = e.run()
	if err == nil {
		err = e.insist("check", func() error { return errors.Join(s.Err(), e.check(s)) })
	}
	crashed := disk.Crash(vfs.CrashCloneCfg{})
	cancel()
	err = errors.Join(err, <-ran)
	_ = s.Close()
	if err != nil {
		return e.failures, err
	}
	again, err := store.Open("data", options(crashed))
	if err != nil {
		return e.failures, err
	}
	return e.failures, errors.Join(e.check(again), again.Close())
}

// TestAFullDiskIsWaitedFor keeps the disk full for a while: reading goes on,
// writing is refused at once, and soon after space is back it is not.
func TestAFullDiskIsWaitedFor(t *testing.T) {
	faults := crashdisk.WithFaults(crashdisk.New())
	s := open(t, faults)
	require.NoError(t, s.Init(genesis()))
	failed, reopened := make(chan error, 1), make(chan time.Duration, 1)
	retried := make(chan error, 100)
	run(t, s, store.Watch{
		Failed: func(err error) { failed <- err }, Retried: func(err error) { retried <- err },
		Reopened: func(took time.Duration) { reopened <- took },
	})
	require.NoError(t, s.PutLocalTx(tx(1, 100), time.UnixMilli(1)))
	before := runtime.NumGoroutine()
	for round := range 20 { // more often than databases may be left behind
		faults.Fail(syscall.ENOSPC)
		err := s.SetSignedSlot(uint64(round) + 1)
		require.ErrorIs(t, err, store.Failed)
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.ErrorIs(t, <-failed, store.Failed)
		for range 2 {
			require.ErrorIs(t, <-retried, syscall.ENOSPC)
			require.ErrorIs(t, s.Err(), store.Failed)
			_, ok, err := s.LocalTx(tx(1, 100).ID())
			require.NoError(t, err, "reading goes on")
			require.True(t, ok)
		}
		faults.Heal()
		healed := time.Now()
		<-reopened
		require.Less(t, time.Since(healed), 5*time.Second)
		require.NoError(t, s.Err())
		require.NoError(t, s.SetSignedSlot(uint64(round)+1))
	}
	require.Eventually(t, func() bool { return runtime.NumGoroutine() < before+20 }, 10*time.Second, 50*time.Millisecond,
		"a database that failed comes to its end")
}

// TestClosingWhileTheDiskIsFull neither hangs nor keeps the folder locked.
func TestClosingWhileTheDiskIsFull(t *testing.T) {
	disk := crashdisk.New()
	faults := crashdisk.WithFaults(disk)
	s := open(t, faults)
	require.NoError(t, s.Init(genesis()))
	retried := make(chan error, 100)
	run(t, s, store.Watch{Retried: func(err error) { retried <- err }})
	faults.Fail(syscall.EIO)
	require.ErrorIs(t, s.SetSignedSlot(1), store.Failed)
	<-retried
	_ = s.Close()
	require.ErrorIs(t, s.Err(), store.Closed)
	faults.Heal()
	again := open(t, faults)
	_, found, err := again.Load()
	require.NoError(t, err)
	require.True(t, found)
}
