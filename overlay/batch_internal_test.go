package overlay

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
)

// run starts a collector whose checks take a time and whose batches are noted.
func collecting(t *testing.T, workers int, takes time.Duration, check func([]validation.Arrival) []validation.TxResult) (c *collector, sizes func() []int, stop func()) {
	t.Helper()
	var (
		mu   sync.Mutex
		list []int
	)
	c = newCollector(DefaultLimits(), workers, func(_ context.Context, arrivals []validation.Arrival) []validation.TxResult {
		mu.Lock()
		list = append(list, len(arrivals))
		mu.Unlock()
		time.Sleep(takes)
		if check != nil {
			return check(arrivals)
		}
		out := make([]validation.TxResult, len(arrivals))
		for i, a := range arrivals {
			if string(a.Raw) == "bad" {
				out[i].Err = validation.BadSignature
			}
		}
		return out
	}, func(context.Context, validation.CheckedTx, peer.ID) error { return nil })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		c.run(ctx)
		close(done)
	}()
	return c, func() []int {
			mu.Lock()
			defer mu.Unlock()
			return append([]int(nil), list...)
		}, func() {
			cancel()
			<-done
		}
}

func TestIdleCollectorChecksAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sizes, stop := collecting(t, 1, 0, nil)
		defer stop()
		for range 3 {
			start := time.Now()
			r, err := c.ask(t.Context(), []byte("x"), "")
			require.NoError(t, err)
			require.NoError(t, r.Err)
			require.Zero(t, time.Since(start))
			time.Sleep(time.Second)
		}
		require.Equal(t, []int{1, 1, 1}, sizes())
	})
}

func TestBusyCollectorFillsBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sizes, stop := collecting(t, 1, time.Millisecond, nil)
		defer stop()
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				raw := []byte("good")
				if i == 77 {
					raw = []byte("bad")
				}
				r, err := c.ask(t.Context(), raw, "")
				require.NoError(t, err)
				require.Equal(t, i == 77, r.Err != nil, "everybody gets their own answer")
			})
		}
		all.Wait()
		total := 0
		for _, n := range sizes() {
			require.LessOrEqual(t, n, DefaultLimits().BatchTxs)
			total += n
		}
		require.Equal(t, 200, total)
		require.LessOrEqual(t, len(sizes()), 6)
	})
}

// Under load a batch that is not full waits, but no longer than it may.
func TestCollectorWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, stop := collecting(t, 4, 0, nil)
		defer stop()
		var all sync.WaitGroup
		for range 10 { // company: the collector is busy now
			all.Go(func() { _, _ = c.ask(t.Context(), []byte("x"), "") })
		}
		all.Wait()
		start := time.Now()
		_, err := c.ask(t.Context(), []byte("x"), "")
		require.NoError(t, err)
		require.LessOrEqual(t, time.Since(start), DefaultLimits().BatchWait)
	})
}

// A panic of ours blames nobody and stops nothing.
func TestCollectorSurvivesAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c, _, stop := collecting(t, 1, 0, func(arrivals []validation.Arrival) []validation.TxResult {
			if calls++; calls == 1 {
				panic("ours")
			}
			return make([]validation.TxResult, len(arrivals))
		})
		defer stop()
		r, err := c.ask(t.Context(), []byte("x"), "")
		require.NoError(t, err)
		require.ErrorIs(t, r.Err, validation.Unavailable)
		require.Equal(t, validation.Ignore, validation.Judge(r.Err))
		r, err = c.ask(t.Context(), []byte("x"), "")
		require.NoError(t, err)
		require.NoError(t, r.Err)
	})
}

func TestCollectorEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, stop := collecting(t, 1, time.Second, nil)
		go func() { _, _ = c.ask(t.Context(), []byte("x"), "") }()
		synctest.Wait()
		stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.ask(ctx, []byte("x"), "")
		require.True(t, errors.Is(err, context.DeadlineExceeded))
	})
}

// A batch that is checked sooner than the one before is not taken sooner.
func TestCollectorTakesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			mu    sync.Mutex
			taken []peer.ID
		)
		c := newCollector(DefaultLimits(), 4, func(_ context.Context, arrivals []validation.Arrival) []validation.TxResult {
			time.Sleep(time.Duration(arrivals[0].Raw[0]) * time.Millisecond)
			return make([]validation.TxResult, len(arrivals))
		}, func(_ context.Context, _ validation.CheckedTx, from peer.ID) error {
			mu.Lock()
			defer mu.Unlock()
			taken = append(taken, from)
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { c.run(ctx) })
		for i, takes := range []byte{90, 50, 10} {
			all.Go(func() { _, _ = c.ask(ctx, []byte{takes}, peer.ID(rune('a'+i))) })
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Second)
		cancel()
		all.Wait()
		require.Equal(t, []peer.ID{"a", "b", "c"}, taken)
	})
}
