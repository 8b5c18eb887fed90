package overlay

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
)

// fakeChecker is a checker to which "bad" is signed badly. What begins with "cheap" claims to
// pay nothing, what begins with "old" has expired.
type fakeChecker struct {
	verifying func(arrivals []validation.Arrival) // may sleep, block or panic; nil is nothing
	asking    func(results []validation.TxResult)

	mu      sync.Mutex // guards what follows
	batches [][]validation.Arrival
	sound   int // calls of Sound
}

func (f *fakeChecker) Sound(raw []byte) (validation.CheckedTx, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sound++
	if strings.HasSuffix(string(raw), "bad") {
		return validation.CheckedTx{}, validation.BadSignature
	}
	return validation.CheckedTx{}, nil
}

func (f *fakeChecker) VerifyTxs(_ time.Time, arrivals []validation.Arrival, glance validation.Glance) []validation.TxResult {
	results := make([]validation.TxResult, len(arrivals))
	verified := make([]validation.Arrival, 0, len(arrivals))
	for i, a := range arrivals {
		if strings.HasPrefix(string(a.Raw), "old") {
			results[i].Err = validation.Expired
			continue
		}
		var claim validation.Claim
		if !strings.HasPrefix(string(a.Raw), "cheap") {
			claim.Terms.Fee = 1
		}
		if glance != nil {
			results[i].Err = glance([]validation.Claim{claim})[0]
		}
		if results[i].Err != nil {
			continue
		}
		verified = append(verified, a)
		if strings.HasSuffix(string(a.Raw), "bad") {
			results[i].Err = validation.BadSignature
		}
	}
	f.mu.Lock()
	f.batches = append(f.batches, verified)
	f.mu.Unlock()
	if f.verifying != nil {
		f.verifying(verified)
	}
	return results
}

func (f *fakeChecker) AskTxs(_ context.Context, _ time.Time, results []validation.TxResult) {
	if f.asking != nil {
		f.asking(results)
	}
}

func (f *fakeChecker) sizes() (sizes []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.batches {
		sizes = append(sizes, len(b))
	}
	return sizes
}

// bench is a collector at work, and what came of it.
type bench struct {
	*collector
	stop func()

	mu    sync.Mutex // guards what follows
	taken []peer.ID
	late  []validation.TxResult
}

func collecting(t *testing.T, cores int, checker txChecker) *bench {
	t.Helper()
	b := new(bench)
	b.collector = newCollector(DefaultLimits(), cores, checker, refuseFree, time.Now,
		func(_ context.Context, _ validation.CheckedTx, from peer.ID) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.taken = append(b.taken, from)
			return nil
		}, func(_ context.Context, r validation.TxResult, _ peer.ID) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.late = append(b.late, r)
		})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		b.run(ctx)
		close(done)
	}()
	b.stop = func() {
		cancel()
		<-done
	}
	return b
}

// tell asks and waits for the answer.
func (b *bench) tell(t *testing.T, raw string, from peer.ID) (validation.TxResult, error) {
	a, err := b.ask(t.Context(), []byte(raw), from)
	if err != nil {
		return validation.TxResult{}, err
	}
	return <-a.answer, nil
}

func TestIdleCollectorChecksAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checker := new(fakeChecker)
		b := collecting(t, 1, checker)
		defer b.stop()
		for range 3 {
			start := time.Now()
			r, err := b.tell(t, "good", "p")
			require.NoError(t, err)
			require.NoError(t, r.Err)
			require.Zero(t, time.Since(start))
			time.Sleep(time.Second)
		}
		require.Equal(t, []int{1, 1, 1}, checker.sizes())
	})
}

func TestBusyCollectorFillsBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checker := &fakeChecker{verifying: func([]validation.Arrival) { time.Sleep(time.Millisecond) }}
		b := collecting(t, 1, checker)
		defer b.stop()
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				raw := "good"
				if i == 77 {
					raw = "bad"
				}
				r, err := b.tell(t, raw, peer.ID(rune('a'+i)))
				require.NoError(t, err)
				require.Equal(t, i == 77, r.Err != nil, "everybody gets their own answer")
			})
		}
		all.Wait()
		total := 0
		for _, n := range checker.sizes() {
			require.LessOrEqual(t, n, DefaultLimits().BatchTxs)
			total += n
		}
		require.Equal(t, 200, total)
		require.LessOrEqual(t, len(checker.sizes()), 6)
	})
}

// Under load a batch that is not full waits, but no longer than it may, and not at all
// once there is enough for the arithmetic; without load it does not wait.
func TestCollectorWaitIsBounded(t *testing.T) {
	for _, test := range []struct {
		name   string
		busy   bool
		there  int // how many transactions wait when the batch is formed
		waited time.Duration
	}{
		{"one under load", true, 1, DefaultLimits().BatchWait},
		{"too few under load", true, batchEnough - 1, DefaultLimits().BatchWait},
		{"enough under load", true, batchEnough, 0},
		{"one", false, 1, 0},
		{"some", false, batchEnough - 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCollector(DefaultLimits(), 1, new(fakeChecker), nil, time.Now, nil, nil)
				for range test.there {
					go func() { c.in <- ticket{} }()
				}
				synctest.Wait() // all of them stand at the door
				start := time.Now()
				batch, ok := c.form(t.Context(), test.busy)
				require.True(t, ok)
				require.Len(t, batch, test.there)
				require.Equal(t, test.waited, time.Since(start))
			})
		})
	}
}

// Large transactions end a batch early: what waits for the rest of it waits no longer for
// them than for small ones.
func TestBatchesAreBoundedByBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checker := &fakeChecker{verifying: func([]validation.Arrival) { time.Sleep(time.Millisecond) }}
		b := collecting(t, 1, checker)
		defer b.stop()
		large := string(make([]byte, batchBytes/4))
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() { _, _ = b.tell(t, large, "p") })
		}
		all.Wait()
		for _, n := range checker.sizes() {
			require.LessOrEqual(t, n, 4)
		}
	})
}

// A panic of ours blames nobody and stops nothing.
func TestCollectorSurvivesAPanic(t *testing.T) {
	for _, suspect := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			b := collecting(t, 1, &fakeChecker{verifying: func([]validation.Arrival) {
				if calls++; calls == 1 {
					panic("ours")
				}
			}})
			defer b.stop()
			if suspect {
				b.note(time.Now(), "p", validation.BadSignature)
				for range 2 {
					_, err := b.tell(t, "good", "p")
					require.ErrorIs(t, err, errApart)
				}
				synctest.Wait()
				require.Len(t, b.late, 2)
				require.ErrorIs(t, b.late[0].Err, validation.Unavailable)
				require.NoError(t, b.late[1].Err)
				return
			}
			r, err := b.tell(t, "good", "p")
			require.NoError(t, err)
			require.ErrorIs(t, r.Err, validation.Unavailable)
			require.Equal(t, validation.Ignore, validation.Judge(r.Err))
			r, err = b.tell(t, "good", "p")
			require.NoError(t, err)
			require.NoError(t, r.Err)
		})
	}
}

func TestCollectorEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := collecting(t, 1, &fakeChecker{verifying: func([]validation.Arrival) { time.Sleep(time.Second) }})
		b.note(time.Now(), "suspect", validation.BadSignature)
		for range 3 * DefaultLimits().BatchTxs { // more than can be verified at once
			go func() { _, _ = b.ask(t.Context(), []byte("good"), "p") }()
			_, err := b.ask(t.Context(), []byte("good"), "suspect")
			require.ErrorIs(t, err, errApart)
		}
		synctest.Wait()
		b.stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := b.ask(ctx, []byte("good"), "p")
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// A batch that is checked sooner than the one before is not taken sooner.
func TestCollectorTakesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := collecting(t, 4, &fakeChecker{verifying: func(arrivals []validation.Arrival) {
			time.Sleep(time.Duration(arrivals[0].Raw[0]) * time.Millisecond)
		}})
		defer b.stop()
		for i, takes := range []byte{90, 50, 10} {
			go func() { _, _ = b.tell(t, string(takes), peer.ID(rune('a'+i))) }()
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, []peer.ID{"a", "b", "c"}, b.taken)
	})
}

// What is signed may be passed on while a slow application thinks, and other batches are
// verified meanwhile, but no more than may be open.
func TestSlowApplicationHoldsUpNoSignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checker := &fakeChecker{asking: func([]validation.TxResult) { time.Sleep(time.Second) }}
		b := collecting(t, 1, checker)
		defer b.stop()
		start := time.Now()
		var open []asked
		for range openBatches {
			a, err := b.ask(t.Context(), []byte("good"), "p")
			require.NoError(t, err)
			<-a.signed
			open = append(open, a)
		}
		require.Less(t, time.Since(start), 100*time.Millisecond)
		go func() { _, _ = b.tell(t, "good", "p") }()
		synctest.Wait()
		require.Len(t, checker.sizes(), openBatches, "the application hangs: no more is begun")
		for _, a := range open {
			require.NoError(t, (<-a.answer).Err)
		}
	})
}
