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
