package overlay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
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
		checker.mu.Lock() // what was set apart may still be verified
		defer checker.mu.Unlock()
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

// R121: whatever holds up those who verify apart, who asks for a suspect is told at once, and
// an honest transaction has its answer within 20 ms.
func TestSuspectsHoldNoWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := collecting(t, 2, &fakeChecker{verifying: func(arrivals []validation.Arrival) {
			costs(arrivals)
			if strings.HasPrefix(string(arrivals[0].From), "suspect") && string(arrivals[0].Raw) == "good" {
				time.Sleep(2 * time.Second)
			}
		}})
		defer b.stop()
		const beyond = 300
		for _, p := range []peer.ID{"suspect 1", "suspect 2"} {
			_, err := b.tell(t, "bad", p)
			require.NoError(t, err)
		}
		start, shed := time.Now(), 0
		for i := range apartTxs + beyond {
			_, err := b.ask(t.Context(), []byte("good"), []peer.ID{"suspect 1", "suspect 2"}[i%2])
			require.ErrorIs(t, err, errApart)
			if errors.Is(err, errApartFull) {
				shed++
			}
		}
		require.Zero(t, time.Since(start))
		require.InDelta(t, beyond, shed, 1, "one may have left the line")
		r, err := b.tell(t, "good", "honest")
		require.NoError(t, err)
		require.NoError(t, r.Err)
		require.LessOrEqual(t, time.Since(start), 20*time.Millisecond)
	})
}

// R121: who waits for what is in a batch already when its sender becomes a suspect is told, too.
func TestWhoWaitsForASuspectIsTold(t *testing.T) {
	b := newCollector(DefaultLimits(), 1, new(fakeChecker), nil, time.Now, nil, nil)
	b.note(time.Now(), "mallory", validation.BadSignature)
	var batch []ticket
	for i := range 2 * (apartTxs + 10) {
		from := peerscore.PeerID("mallory")
		if i%2 == 0 {
			from = "honest"
		}
		batch = append(batch, ticket{validation.Arrival{From: from}, nil, make(chan validation.TxResult, 1)})
	}
	tickets := slices.Clone(batch)
	rest := b.setApart(batch)
	require.Len(t, rest, apartTxs+10+10, "for ten of a suspect there was no room")
	require.Len(t, b.apart, apartTxs)
	for i, ticket := range tickets {
		if i%2 == 0 || i/2 >= apartTxs {
			require.Empty(t, ticket.answer)
			continue
		}
		require.ErrorIs(t, (<-ticket.answer).Err, errApart)
	}
}

// apartRoad is the road of transactions of a node whose collector does not run, or not yet.
func apartRoad(now func() time.Time, hooks Hooks) *txRoad {
	cfg := DefaultConfig()
	cfg.Now, cfg.Hooks, cfg.Logger = now, hooks, slog.New(slog.DiscardHandler)
	return newTxRoad(cfg, "self", newLinks(), newRoster(cfg.Limits, nil, now, newLinks(), newLinks()), new(court), new(crew))
}

// R121: what is shed of a suspect is counted, is held against nobody, and is not taken for
// refused: it is fetched when pools are compared.
func TestShedOfSuspectsComesBack(t *testing.T) {
	shed := map[peerscore.PeerID]int{}
	judged := 0
	road := apartRoad(time.Now, Hooks{
		TxShed: func(from peerscore.PeerID, n int, why Shed) {
			require.Equal(t, ShedOverload, why)
			shed[from] += n
		},
		TxArrived: func(wire.TxID, peerscore.PeerID, validation.Verdict, error) { judged++ },
		Offence:   func(peerscore.PeerID, peerscore.Offence, error) { judged++ },
	})
	road.judged = func(wire.TxID, error) { judged++ }
	for _, p := range []peer.ID{"mallory", "unlucky"} {
		road.collector.note(time.Now(), peerscore.PeerID(p), validation.BadSignature)
	}
	validate := func(from peer.ID, raw string) {
		msg := &pubsub.Message{Message: &pb.Message{Data: []byte(raw)}}
		require.Equal(t, pubsub.ValidationIgnore, road.validate(t.Context(), from, msg))
	}
	for range apartTxs {
		validate("mallory", "flood")
	}
	require.Empty(t, shed)
	validate("unlucky", "good")
	road.takePushed(t.Context(), "unlucky", []byte("good"))
	road.takeFetched(t.Context(), "unlucky", []byte("good"))
	require.Equal(t, map[peerscore.PeerID]int{"unlucky": 3}, shed)
	require.Zero(t, judged)

	known, now := newKnownTxs(), time.Now()
	id := wire.TxIDOf([]byte("good"))
	require.True(t, known.wanted(now, id), "heard by gossip, and shed")
	known.tried.put(now, id)
	require.True(t, known.wanted(now.Add(triedFor), id), "fetched, and shed")
}

// R121: what is good of a suspect is published although a peer reads slowly.
func TestLateWaitsForNoReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.ResourceManager(&network.NullResourceManager{}))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		defer func() {
			cancel()
			require.NoError(t, h.Close())
		}()
		ps, err := pubsub.NewGossipSub(ctx, h, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor())
		require.NoError(t, err)
		topic, err := ps.Join("topic")
		require.NoError(t, err)
		published, err := topic.Subscribe()
		require.NoError(t, err)

		road := apartRoad(time.Now, Hooks{})
		road.mesh.Store(&mesh{topic: topic, inspector: &inspector{pulls: newPulls(time.Second, time.Second, 10)}})
		for range DefaultGossip().OutboundQueue {
			road.outflow.queued("slow")
		}
		start := time.Now()
		tx := soundTxs(t, "late", 1)[0]
		road.late(ctx, validation.TxResult{ID: tx.ID(), Checked: tx}, "suspect")
		msg, err := published.Next(ctx)
		require.NoError(t, err)
		require.Equal(t, tx.Tx().Bytes(), msg.GetData())
		require.Zero(t, time.Since(start))

		require.NoError(t, road.send(ctx, road.mesh.Load(), tx))
		require.Positive(t, time.Since(start), "what is ours waits")
	})
}
