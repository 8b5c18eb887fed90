package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// credulous is an honest machine that never closes a link.
func credulous(m Machine) Machine {
	return &twisted{Machine: m, twist: func(_ time.Duration, _ Event, out []Action) []Action {
		kept := out[:0]
		for _, a := range out {
			if a.Kind != Close {
				kept = append(kept, a)
			}
		}
		return kept
	}}
}

// attacked runs a network with ten attackers of a kind, and again where nobody
// defends itself.
func attacked(t *testing.T, kind string, lazy int) (r, defenceless *report.Report) {
	s := calm(seed(t))
	s.Drain = 10 * time.Second
	if kind != "" {
		s.Attackers = []scenario.Attacker{{Kind: kind, Count: 10}}
	}
	tuning := defaultGossip()
	tuning.Lazy = lazy
	var reports []*report.Report
	for _, defended := range []bool{true, false} {
		w := built(t, s, tuning)
		for i := range w.seats {
			if !defended && w.roles.honest(i) {
				w.seats[i].machine = credulous(w.seats[i].machine)
			}
		}
		require.NoError(t, w.run(t.Context()))
		reports = append(reports, w.report())
	}
	return reports[0], reports[1]
}

func TestFloodersAreCutOff(t *testing.T) {
	for _, kind := range []string{"oversize", "spammer"} {
		t.Run(kind, func(t *testing.T) {
			r, defenceless := attacked(t, kind, 6)
			require.Equal(t, 1.0, *r.Attack.EvictedRatio)
			require.Zero(t, *r.Attack.HonestBanned)
			require.Equal(t, 1.0, *r.Tx.DeliveryRatio)
			require.Zero(t, *defenceless.Attack.EvictedRatio)
			require.Greater(t, *defenceless.Tx.CopiesPerDelivery, 1.3**r.Tx.CopiesPerDelivery, "no harm without the defence")
		})
	}
}

// TestWhoForwardsNothing: silent nodes and withholders cost time, and lazy
// pull makes up for them.
func TestWhoForwardsNothing(t *testing.T) {
	calm, _ := attacked(t, "", 6)
	for _, kind := range []string{"silent", "withholder"} {
		t.Run(kind, func(t *testing.T) {
			r, _ := attacked(t, kind, 6)
			require.Equal(t, 1.0, *r.Tx.DeliveryRatio)
			require.Less(t, *r.Tx.CopiesPerDelivery, *calm.Tx.CopiesPerDelivery)
			require.Less(t, r.Tx.Expected, calm.Tx.Expected, "attackers are not among the receivers")
		})
	}
}

func TestDuplicatorsMultiply(t *testing.T) {
	calm, _ := attacked(t, "", 6)
	r, _ := attacked(t, "duplicates", 6)
	require.Greater(t, *r.Tx.CopiesPerDelivery, 2**calm.Tx.CopiesPerDelivery)
	require.Equal(t, 1.0, *r.Tx.DeliveryRatio)
}

// TestEquivocatorSplitsAndTheChainHolds: two blocks for one slot make nodes
// roll back that otherwise would not, and all end on one head.
func TestEquivocatorSplitsAndTheChainHolds(t *testing.T) {
	s := calm(seed(t))
	s.Blocks = scenario.Blocks{Producers: 5, Slot: time.Second}
	s.Txs.For = 20 * time.Second
	rollbacks := func(forgers int) int {
		s.Attackers = nil
		if forgers > 0 {
			s.Attackers = []scenario.Attacker{{Kind: equivocation, Count: forgers}}
		}
		w := built(t, s, defaultGossip())
		require.NoError(t, w.run(t.Context()))
		r := w.report()
		require.Equal(t, 1, *r.Chain.Heads)
		require.GreaterOrEqual(t, *r.Chain.Height, uint64(18))
		return *r.Chain.Rollbacks
	}
	require.Zero(t, rollbacks(0))
	require.Positive(t, rollbacks(2))

	s.Attackers = []scenario.Attacker{{Kind: equivocation, Count: 6}}
	_, err := build(s, defaultGossip())
	require.ErrorContains(t, err, "6 attackers are of kind equivocator, and blocks.producers is 5")
}

// TestSybils: with links in the mesh only, Sybils cut honest nodes off, from
// when they begin, and cold boot from the start; lazy pull makes up for them.
func TestSybils(t *testing.T) {
	const seed = 5 // of which the calm network is one piece without lazy pull, as of half of all
	lost := func(kind string, from time.Duration, lazy int) int {
		s := calm(seed)
		s.Drain, s.Txs.Origins = 15*time.Second, 1
		s.Attackers = []scenario.Attacker{{Kind: kind, Count: 25, From: from}}
		tuning := defaultGossip()
		tuning.Lazy = lazy
		if lazy == 0 {
			tuning.Mesh, tuning.MeshMost = 3, 4
		}
		w := built(t, s, tuning)
		require.NoError(t, w.run(t.Context()))
		r := w.report()
		require.Zero(t, *r.Attack.HonestBanned)
		require.Equal(t, 25, r.Attack.Attackers)
		return r.Tx.Expected - r.Tx.Delivered
	}
	never := time.Hour
	for _, kind := range []string{"cold-boot", "covert-flash", eclipsing, censoring} {
		t.Run(kind, func(t *testing.T) {
			require.Positive(t, lost(kind, 0, 0))
			require.Zero(t, lost(kind, 0, 6))
			if kind == "cold-boot" {
				require.Positive(t, lost(kind, never, 0))
			} else {
				require.Zero(t, lost(kind, never, 0))
			}
		})
	}
}

// TestWhoAims: who surrounds a victim is linked to it, and nobody else is moved.
func TestWhoAims(t *testing.T) {
	s := calm(seed(t))
	plain := built(t, s, defaultGossip())
	s.Attackers = []scenario.Attacker{{Kind: eclipsing, Count: 10}}
	w := built(t, s, defaultGossip())
	for i, a := range w.roles.attacker {
		if a != nil {
			_, linked := w.network.find(i, w.roles.victim)
			require.True(t, linked)
		}
	}
	require.True(t, w.roles.honest(w.roles.victim))
	require.Equal(t, plain.network.pairs, w.network.pairs[:len(plain.network.pairs)])
	require.Equal(t, plain.network.ways, w.network.ways[:len(plain.network.ways)])
}
