package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
	"github.com/grapevine-p2p/grapevine/node/store"
)

// openWithin is how long an opening may take that fails: nothing waits for ever.
const openWithin = 30 * time.Second

// openInTime is store.Open, and a failure where that does not return.
func openInTime(t *testing.T, what string, o store.Options) (*store.Store, error) {
	t.Helper()
	type opened struct {
		s   *store.Store
		err error
	}
	done := make(chan opened, 1)
	go func() {
		s, err := store.Open("data", o)
		done <- opened{s, err}
	}()
	select {
	case o := <-done:
		return o.s, o.err
	case <-time.After(openWithin):
		require.Fail(t, "the opening does not return", what)
		return nil, nil
	}
}

// TestAFailedWriteOfAnOpeningIsNotItsLast has each write fail in turn that opening a store takes which
// was killed, and so has a log that comes into tables, or which is damaged and is set aside; on a
// full disk or a broken one. The store opens, or says why not and opens when the disk is well, and
// nothing is lost. A database waits for ever for goroutines of its own that gave up.
//
// R131, R142: an opening that fails says so at once, whatever write it was.
func TestAFailedWriteOfAnOpeningIsNotItsLast(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 7
	}
	_, killed := worn(t)
	for _, damaged := range []bool{false, true} {
		t.Run(fmt.Sprintf("damaged=%v", damaged), func(t *testing.T) {
			var ending sync.WaitGroup // of failed databases, which take their time
			defer ending.Wait()
			refused := 0
			for k, done := 1, false; !done; k += step {
				disk := cloneOf(t, killed)
				if damaged {
					names, err := disk.List("data")
					require.NoError(t, err)
					for _, name := range names {
						if strings.HasPrefix(name, "MANIFEST-") {
							spoil(t, disk, "data/"+name)
						}
					}
				}
				faults := crashdisk.WithFaults(disk)
				errno := []syscall.Errno{syscall.ENOSPC, syscall.EIO}[k%2]
				faults.FailAt(k, errno)
				what := fmt.Sprintf("write %d fails: %v", k, errno)
				s, err := openInTime(t, what, rescuing(faults))
				done = faults.Writes() < k
				faults.Heal()
				switch {
				case err != nil:
					refused++
					require.ErrorIs(t, err, errno, what)
					s, err = openInTime(t, what, rescuing(faults))
				case s.Err() != nil: // it failed when the opening was over
					_ = s.Close()
					s, err = openInTime(t, what, rescuing(faults))
				}
				require.NoError(t, err, what)
				missing, err := accounted(s)
				require.NoError(t, err, what)
				require.Zero(t, missing, what)
				require.Equal(t, damaged, len(s.Aside()) == 1, what)
				ending.Go(func() { _ = s.Close() })
			}
			t.Logf("%d refused", refused)
			require.NotZero(t, refused)
		})
	}
}

// TestAFailedWriteOfAReopeningIsNotItsLast has the disk fail, and soon after once more, while the files
// are being opened again. The store takes writes again within seconds.
//
// R142.
func TestAFailedWriteOfAReopeningIsNotItsLast(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed(t), 0))
	rounds := 60
	if testing.Short() {
		rounds = 6
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	places := make(chan struct{}, 8)
	for range rounds {
		k := 1 + rng.IntN(60)
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if err := failTwice(t, k); err != nil {
				t.Errorf("write %d after the first failure: %v", k, err)
			}
		})
	}
}

func failTwice(t *testing.T, k int) error {
	faults := crashdisk.WithFaults(vfs.NewMem())
	s, err := store.Open("data", options(faults))
	if err != nil {
		return err
	}
	run(t, s, store.Watch{})
	for n := range uint64(20) {
		if err := s.PutLocalTx(tx(n, 20_000), time.UnixMilli(int64(n))); err != nil {
			return err
		}
	}
	faults.FailAt(1, syscall.EIO)
	if err := s.SetSignedSlot(1); !errors.Is(err, store.Failed) {
		return fmt.Errorf("the first failure: %w", err)
	}
	faults.FailAt(k, syscall.ENOSPC)
	for began := time.Now(); s.SetSignedSlot(1) != nil; time.Sleep(10 * time.Millisecond) { //nolint:forbidigo // as a wallet waits
		if time.Since(began) > patience {
			return errors.New("no writes again")
		}
	}
	for n := range uint64(20) {
		if _, ok, err := s.LocalTx(tx(n, 20_000).ID()); err != nil || !ok {
			return fmt.Errorf("transaction %d: %v, %w", n, ok, err)
		}
	}
	return s.Close()
}
