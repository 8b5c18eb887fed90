package stem_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/overlay/stem"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// plain is an application that takes everything.
type plain struct{}

func (plain) DescribeTx(*wire.Transaction) (t validation.TxTerms, err error) {
	return validation.TxTerms{Fee: 1000}, nil
}

func (plain) CheckTxs(_ context.Context, _ time.Time, txs []validation.CheckedTx) []error {
	return make([]error, len(txs))
}

func (plain) CheckHeader(context.Context, time.Time, *wire.HeaderBody, validation.Road) error {
	return nil
}

// maker makes transactions as from a store, which are believed without signatures.
func maker() func(n int) validation.CheckedTx {
	checker, err := validation.NewChecker(&wire.Genesis{
		Network: "stem-test", AddressPrefix: "gv", Time: uint64(start.UnixMilli()), SlotMillis: 1000,
		Producers: []wire.ProducerSet{{Producers: []wire.Address{sha256.Sum256([]byte("producer"))}}},
		Rules:     []wire.RuleChange{{Version: 1}},
		Limits:    wire.DefaultLimits(),
	}, plain{})
	if err != nil {
		panic(err)
	}
	return func(n int) validation.CheckedTx {
		tx, err := checker.StoredTx(wire.NewTransaction(binary.LittleEndian.AppendUint64(nil, uint64(n)), wire.Signature{}))
		if err != nil {
			panic(err)
		}
		return tx
	}
}

func seed(t testing.TB) uint64 {
	s, err := strconv.ParseUint(os.Getenv("GRAPEVINE_SEED"), 10, 64)
	if err != nil {
		s = rand.Uint64()
	}
	t.Logf("replay: GRAPEVINE_SEED=%d go test -run '^%s$' ./overlay/stem", s, t.Name())
	return s
}

func router(t require.TestingT, cfg stem.Config, seed uint64, peers ...peerscore.PeerID) *stem.Router {
	r, err := stem.New(cfg, rand.New(rand.NewPCG(seed, 0)))
	require.NoError(t, err)
	r.Peers(start, peers)
	return r
}

// relaying has nobody publish but by embargo.
func relaying() stem.Config {
	cfg := stem.DefaultConfig()
	cfg.Publish = 1e-12
	return cfg
}

var crowd = []peerscore.PeerID{"a", "b", "c", "d", "e", "f", "g", "h"}

// In an epoch, all that comes from one side takes one road, whether it is our own or not.
func TestOneRoadAnEpoch(t *testing.T) {
	tx := maker()
	first := make(map[peerscore.PeerID]int) // how often each was the first relay of our own
	rng := seed(t)
	for s := range uint64(200) {
		r := router(t, relaying(), rng+s, crowd...)
		relays := make(map[peerscore.PeerID]bool)
		own, err := r.Own(start, tx(0))
		require.NoError(t, err)
		require.Len(t, own, 2)
		first[own[0]]++
		for n := 1; n < 50; n++ {
			again, err := r.Own(start.Add(time.Second), tx(n))
			require.NoError(t, err)
			require.Equal(t, own, again)
		}
		for _, p := range []peerscore.PeerID{"x", "y", "z"} {
			road := r.Relayed(start, p, tx(int(p[0])))
			require.False(t, road.Publish)
			for n := range 20 {
				require.Equal(t, road, r.Relayed(start, p, tx(1000*int(p[0])+n)))
			}
			relays[road.To[0]], relays[road.To[1]] = true, true
		}
		require.Len(t, relays, 2, "two relays serve all roads")
	}
	require.Len(t, first, len(crowd), "every peer is somebody's first relay")
}

// A relay that leaves is replaced, and what goes by the other stays there.
func TestLostRelayIsReplaced(t *testing.T) {
	tx := maker()
	r := router(t, relaying(), seed(t), crowd...)
	before, err := r.Own(start, tx(0))
	require.NoError(t, err)
	var left []peerscore.PeerID
	for _, p := range crowd {
		if p != before[0] {
			left = append(left, p)
		}
	}
	r.Peers(start, left)
	after, err := r.Own(start, tx(1))
	require.NoError(t, err)
	require.Len(t, after, 2)
	require.NotContains(t, after, before[0])
	require.Equal(t, before[1], after[1])
}

// Relays and the decision to publish change with the epoch.
func TestEpochsDiffer(t *testing.T) {
	tx := maker()
	r := router(t, stem.DefaultConfig(), seed(t), crowd...)
	roads, published := make(map[string]bool), 0
	const epochs = 400
	for n := range epochs {
		now := start.Add(time.Duration(n) * 2 * stem.DefaultConfig().Epoch)
		own, err := r.Own(now, tx(n))
		require.NoError(t, err)
		roads[fmt.Sprint(own)] = true
		if r.Relayed(now, "x", tx(epochs+n)).Publish {
			published++
		}
		r.Due(now.Add(time.Hour))
	}
	require.Greater(t, len(roads), 28, "of 56 ordered pairs")
	require.InDelta(t, 0.2*epochs, float64(published), 45, "five and a half standard deviations")
}

func TestNobodyIsHandedBackTheirOwn(t *testing.T) {
	tx := maker()
	r := router(t, relaying(), seed(t), "a", "b")
	for n := range 20 {
		step := r.Relayed(start, "a", tx(n))
		require.Equal(t, stem.Step{To: []peerscore.PeerID{"b"}}, step)
	}
	r = router(t, relaying(), 1, "a")
	require.Equal(t, stem.Step{Publish: true}, r.Relayed(start, "a", tx(1)), "there is no other way")
	require.Zero(t, r.Len())
}

func TestWhatComesBackIsPublished(t *testing.T) {
	tx := maker()
	r := router(t, relaying(), seed(t), crowd...)
	_, err := r.Own(start, tx(0))
	require.NoError(t, err)
	require.Equal(t, stem.Step{Publish: true}, r.Relayed(start, "x", tx(0)))
	require.False(t, r.Relayed(start, "x", tx(1)).Publish)
	require.Equal(t, stem.Step{Publish: true}, r.Relayed(start, "y", tx(1)))
	require.Zero(t, r.Len())
	require.Empty(t, r.Due(start.Add(time.Hour)), "published once")
}

// Alone, a node holds its own until the embargo and never asks for a publication before.
func TestAloneItWaits(t *testing.T) {
	tx := maker()
	r := router(t, stem.DefaultConfig(), seed(t))
	to, err := r.Own(start, tx(0))
	require.NoError(t, err)
	require.Empty(t, to)
	r.Stuck(start, tx(0).ID())
	require.Empty(t, r.Due(start))
	due := r.Due(start.Add(time.Hour))
	require.Len(t, due, 1)
	require.Equal(t, tx(0).ID(), due[0].Tx.ID())
	require.Empty(t, due[0].From)
}

// What nobody took goes to the first relay that comes, and is tried again after a while.
func TestOwnIsTriedAgain(t *testing.T) {
	tx := maker()
	cfg := relaying()
	cfg.Embargo = 1000 * time.Hour
	r := router(t, cfg, seed(t))
	_, err := r.Own(start, tx(0))
	require.NoError(t, err)
	none, _ := r.Retry(start)
	require.Empty(t, none, "there is no relay yet")
	r.Peers(start, crowd)
	again, to := r.Retry(start)
	require.Len(t, again, 1)
	require.Len(t, to, 2)
	none, _ = r.Retry(start.Add(time.Hour))
	require.Empty(t, none, "it is on its way")
	r.Stuck(start, tx(0).ID())
	none, _ = r.Retry(start.Add(time.Second))
	require.Empty(t, none, "too soon")
	again, _ = r.Retry(start.Add(time.Minute))
	require.Len(t, again, 1)
	require.False(t, r.Relayed(start, "x", tx(1)).Publish)
	r.Stuck(start, tx(1).ID())
	none, _ = r.Retry(start.Add(time.Hour))
	require.Empty(t, none, "not ours")
}

func TestStuckIsDueAtOnce(t *testing.T) {
	tx := maker()
	r := router(t, relaying(), seed(t), crowd...)
	require.NotEmpty(t, r.Relayed(start, "x", tx(0)).To)
	r.Stuck(start, tx(0).ID())
	r.Stuck(start, tx(7).ID()) // not held
	due := r.Due(start)
	require.Len(t, due, 1)
	require.Equal(t, peerscore.PeerID("x"), due[0].From)
}

// Embargoes are exponential: their mean is the one asked for, and so is their deviation.
func TestEmbargoesAreExponential(t *testing.T) {
	tx := maker()
	cfg := relaying()
	cfg.MaxOwn = 20_000
	r := router(t, cfg, seed(t), crowd...)
	for n := range cfg.MaxOwn {
		_, err := r.Own(start, tx(n))
		require.NoError(t, err)
	}
	mean := cfg.Embargo.Seconds()
	var late, all float64
	for now := start; r.Len() > 0; now = now.Add(100 * time.Millisecond) {
		n := float64(len(r.Due(now)))
		all += n * now.Sub(start).Seconds()
		if now.Sub(start) > cfg.Embargo {
			late += n
		}
	}
	require.InDelta(t, mean, all/float64(cfg.MaxOwn), mean*0.05)
	require.InDelta(t, 0.368, late/float64(cfg.MaxOwn), 0.02, "1/e outlive the mean")
}

func TestBounds(t *testing.T) {
	tx := maker()
	cfg := relaying()
	cfg.MaxPerPeer, cfg.MaxHeld, cfg.MaxOwn = 3, 4, 1
	r := router(t, cfg, 1, crowd...)
	for n := range 3 {
		require.False(t, r.Relayed(start, "x", tx(n)).Publish)
	}
	require.True(t, r.Relayed(start, "x", tx(3)).Publish, "its places are taken")
	require.False(t, r.Relayed(start, "y", tx(4)).Publish)
	_, err := r.Own(start, tx(5))
	require.NoError(t, err)
	_, err = r.Own(start, tx(6))
	require.ErrorIs(t, err, stem.Full)
	_, err = r.Own(start, tx(5))
	require.NoError(t, err, "held already")
	require.True(t, r.Relayed(start, "z", tx(7)).Publish)
	require.Equal(t, 5, r.Len())
	r.Seen(tx(5).ID())
	require.True(t, r.Relayed(start, "z", tx(7)).Publish, "one of ours is no place of a peer's")
	r.Seen(tx(0).ID())
	require.False(t, r.Relayed(start, "x", tx(8)).Publish, "a place is free again")

	cfg = relaying()
	cfg.MaxBytes = 2*tx(0).Size() + 1
	r = router(t, cfg, 1, crowd...)
	require.False(t, r.Relayed(start, "x", tx(0)).Publish)
	require.False(t, r.Relayed(start, "x", tx(1)).Publish)
	require.True(t, r.Relayed(start, "x", tx(2)).Publish)
	_, err = r.Own(start, tx(3))
	require.NoError(t, err)
	r.Seen(tx(3).ID())
	require.True(t, r.Relayed(start, "x", tx(2)).Publish, "its bytes never counted")
}

// R122: sixty peers that hand in all that they may, twenty a second each, keep none of our own
// from going out at once.
func TestPeersTakeNoPlaceOfOurOwn(t *testing.T) {
	tx := maker()
	r := router(t, relaying(), seed(t), crowd...)
	const peers, perSecond, seconds = 60, 20, 30
	n := 0
	next := func() validation.CheckedTx { n++; return tx(n) }
	published := 0
	for step := range seconds * perSecond {
		now := start.Add(time.Duration(step) * time.Second / perSecond)
		r.Due(now)
		for p := range peers {
			if r.Relayed(now, peerscore.PeerID(fmt.Sprint("peer ", p)), next()).Publish {
				published++
			}
		}
		if step%perSecond == 0 {
			to, err := r.Own(now, next())
			require.NoError(t, err)
			require.NotEmpty(t, to)
		}
	}
	require.Greater(t, published, peers*perSecond*seconds/2, "their places are taken")
	cfg := stem.DefaultConfig()
	require.LessOrEqual(t, r.Len(), cfg.MaxHeld+cfg.MaxOwn)
}

// Whatever happens, what is handed in comes out once: published at once, by its embargo, or
// seen; and bounds hold.
func TestNothingIsLostOrPublishedTwice(t *testing.T) {
	tx := maker()
	rapid.Check(t, func(t *rapid.T) {
		cfg := stem.DefaultConfig()
		cfg.MaxPerPeer, cfg.MaxHeld, cfg.MaxBytes, cfg.MaxOwn = 4, 10, 8*tx(0).Size(), 3
		cfg.Publish = 0.3
		r := router(t, cfg, rapid.Uint64().Draw(t, "seed"))
		now := start
		held := make(map[wire.TxID]peerscore.PeerID)
		check := func() {
			require.Equal(t, len(held), r.Len())
			per := make(map[peerscore.PeerID]int)
			for _, id := range r.Holding() {
				from, ok := held[id]
				require.True(t, ok)
				if per[from]++; from != "" {
					require.LessOrEqual(t, per[from], cfg.MaxPerPeer)
				}
			}
			require.LessOrEqual(t, per[""], cfg.MaxOwn)
			require.LessOrEqual(t, r.Len()-per[""], 8, "bounded by bytes before it is by number")
		}
		out := func(due []stem.Released) {
			for _, d := range due {
				from, ok := held[d.Tx.ID()]
				require.True(t, ok, "was not held")
				require.Equal(t, from, d.From)
				delete(held, d.Tx.ID())
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) { check() },
			"own": func(t *rapid.T) {
				one := tx(rapid.IntRange(0, 20).Draw(t, "tx"))
				if _, err := r.Own(now, one); err == nil {
					if _, old := held[one.ID()]; !old {
						held[one.ID()] = ""
					}
				}
			},
			"relayed": func(t *rapid.T) {
				one, p := tx(rapid.IntRange(0, 20).Draw(t, "tx")), rapid.SampledFrom(crowd).Draw(t, "from")
				step := r.Relayed(now, p, one)
				require.NotEqual(t, step.Publish, len(step.To) > 0)
				require.NotContains(t, step.To, p)
				delete(held, one.ID()) // one that came back is published
				if !step.Publish {
					held[one.ID()] = p
				}
			},
			"seen": func(t *rapid.T) {
				id := tx(rapid.IntRange(0, 20).Draw(t, "tx")).ID()
				r.Seen(id)
				delete(held, id)
			},
			"stuck": func(t *rapid.T) { r.Stuck(now, tx(rapid.IntRange(0, 20).Draw(t, "tx")).ID()) },
			"peers": func(t *rapid.T) {
				r.Peers(now, rapid.SliceOfDistinct(rapid.SampledFrom(crowd), rapid.ID[peerscore.PeerID]).Draw(t, "peers"))
			},
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "step")))
				out(r.Due(now))
			},
		})
		out(r.Due(now.Add(24 * time.Hour)))
		require.Empty(t, held)
		require.Zero(t, r.Len())
	})
}

func TestConfigIsRefusedWhole(t *testing.T) {
	require.NoError(t, stem.DefaultConfig().Validate())
	_, err := stem.New(stem.Config{Publish: 2}, rand.New(rand.NewPCG(1, 1)))
	for _, field := range []string{"Relays", "Publish", "Epoch", "Embargo", "MaxPerPeer", "MaxOwn", "MaxBytes"} {
		require.ErrorContains(t, err, field)
	}
	cfg := stem.DefaultConfig()
	cfg.MaxHeld = 1
	require.ErrorContains(t, cfg.Validate(), "MaxHeld")
}
