package overlay

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
)

// R50: the peer that spoilt a batch is verified apart, nobody waits for it, and what is
// good of it is not lost.
func TestSuspectsAreVerifiedApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checker := new(fakeChecker)
		b := collecting(t, 1, checker)
		defer b.stop()
		r, err := b.tell(t, "bad", "mallory")
		require.NoError(t, err)
		require.ErrorIs(t, r.Err, validation.BadSignature)

		for _, raw := range []string{"good", "bad"} {
			_, err = b.ask(t.Context(), []byte(raw), "mallory")
			require.ErrorIs(t, err, errApart)
			require.Equal(t, validation.Ignore, validation.Judge(err))
		}
		synctest.Wait()
		require.Equal(t, []peer.ID{"mallory"}, b.taken)
		require.Len(t, b.late, 2)
		require.NoError(t, b.late[0].Err)
		require.ErrorIs(t, b.late[1].Err, validation.BadSignature)
		require.Equal(t, []int{1, 1, 1}, checker.sizes())

		time.Sleep(validation.SuspectFor)
		r, err = b.tell(t, "good", "mallory")
		require.NoError(t, err, "who has been good for a time is trusted again")
		require.NoError(t, r.Err)
	})
}

// What a peer has in batches already when its first signature fails shares none either.
func TestSuspectsLeaveBatchesThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checker := &fakeChecker{verifying: func([]validation.Arrival) { time.Sleep(time.Millisecond) }}
		b := collecting(t, 1, checker)
		defer b.stop()
		var all sync.WaitGroup
		for i := range 500 {
			all.Go(func() {
				raw, from := "good", peer.ID("honest")
				if i%2 == 0 {
					raw, from = "bad", "mallory"
				}
				r, err := b.tell(t, raw, from)
				if from == "honest" {
					require.NoError(t, err)
					require.NoError(t, r.Err)
				}
			})
		}
		all.Wait()
		spoilt := 0
		for _, batch := range checker.batches {
			honest, bad := 0, 0
			for _, a := range batch {
				if a.From == "honest" {
					honest++
				} else {
					bad++
				}
			}
			if honest > 0 && bad > 0 {
				spoilt++
			}
		}
		require.LessOrEqual(t, spoilt, 1, "the one that found out")
	})
}

// costs is what verifying takes on a machine half as fast as that of
// docs/figures/admit.md: equations of sixteen, and each member again where one fails.
func costs(arrivals []validation.Arrival) {
	const together, again, alone = 40 * time.Microsecond, 60 * time.Microsecond, 80 * time.Microsecond
	if len(arrivals) == 1 {
		time.Sleep(alone)
		return
	}
	arrivals = slices.Clone(arrivals)
	slices.SortStableFunc(arrivals, func(a, b validation.Arrival) int { return cmp.Compare(a.From, b.From) })
	for len(arrivals) > 0 {
		n := min(16, len(arrivals))
		took := time.Duration(n) * together
		for _, a := range arrivals[:n] {
			if string(a.Raw) == "bad" {
				took += time.Duration(n) * again
				break
			}
		}
		time.Sleep(took)
		arrivals = arrivals[n:]
	}
}

// TestBadNeighbours: whatever floods of bad signatures arrive beside it, an honest
// transaction has its answer within 20 ms, and it is yes, on one slow core.
//
// R50: a bad signature delays or loses no transaction of others.
func TestBadNeighbours(t *testing.T) {
	const (
		honestPeers, perPeer = 8, 100 // transactions of each
		inFlight             = 300    // what the sluice lets through, of all
	)
	seed := rand.Uint64()
	for run := range 20 {
		rng := rand.New(rand.NewPCG(seed, uint64(run)))
		attackers, badShare, strangers := 1+rng.IntN(4), rng.Float64(), rng.IntN(2) == 0
		t.Run(fmt.Sprintf("seed=%d,%d", seed, run), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core := make(chan struct{}, 1) // the machine has one, for all of its work
				b := collecting(t, 1, &fakeChecker{verifying: func(arrivals []validation.Arrival) {
					core <- struct{}{}
					costs(arrivals)
					<-core
				}})
				defer b.stop()
				ctx, cancel := context.WithCancel(t.Context())
				var flood, honest sync.WaitGroup
				for i := range inFlight {
					mine := rand.New(rand.NewPCG(seed, uint64(run*10_000+i)))
					flood.Go(func() {
						for n := 0; ctx.Err() == nil; n++ {
							from := peer.ID(fmt.Sprint("attacker ", i%attackers))
							if strangers && i < attackers { // a new name every 20 ms
								from = peer.ID(fmt.Sprint("stranger ", i, " ", n))
								time.Sleep(20 * time.Millisecond)
							}
							raw := "good"
							if mine.Float64() < badShare {
								raw = "bad"
							}
							if a, err := b.ask(ctx, []byte(raw), from); err == nil {
								select {
								case <-a.answer:
								case <-ctx.Done():
								}
							}
							time.Sleep(time.Duration(mine.IntN(30)) * time.Millisecond)
						}
					})
				}
				var worst time.Duration
				var mu sync.Mutex
				for i := range honestPeers {
					mine := rand.New(rand.NewPCG(seed, uint64(run*10_000+9_000+i)))
					honest.Go(func() {
						var under sync.WaitGroup
						for range perPeer {
							time.Sleep(time.Duration(mine.IntN(10_000)) * time.Microsecond)
							under.Go(func() {
								start := time.Now()
								r, err := b.tell(t, "good", peer.ID(fmt.Sprint("honest ", i)))
								require.NoError(t, err)
								require.NoError(t, r.Err)
								mu.Lock()
								defer mu.Unlock()
								worst = max(worst, time.Since(start))
							})
						}
						under.Wait()
					})
				}
				honest.Wait()
				require.LessOrEqual(t, worst, 20*time.Millisecond)
				t.Logf("%d attackers, %.0f %% bad, strangers %v: worst %v", attackers, 100*badShare, strangers, worst)
				cancel()
				flood.Wait()
			})
		})
	}
}
