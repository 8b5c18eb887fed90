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
