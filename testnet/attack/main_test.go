package attack_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/grapevine-p2p/grapevine/testnet/attack"
	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
	"github.com/grapevine-p2p/grapevine/testnet/stock"
)

// TestMain lets the test binary be the child of the runs that tests ask for.
func TestMain(m *testing.M) {
	relays := attack.Relays()
	maps.Copy(relays, stock.Relays())
	for name, change := range defenceless {
		relays[name] = sim.Gossip(change)
	}
	sim.Child(relays)
	goleak.VerifyTestMain(m)
}

// shipped is a scenario as it ships, with changes.
func shipped(t *testing.T, name string, changes ...string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Load(name)
	require.NoError(t, err)
	for _, c := range changes {
		require.NoError(t, s.Set(c))
	}
	require.NoError(t, s.Validate())
	for i := range s.Attackers {
		require.NoError(t, attack.Check(&s.Attackers[i]))
	}
	return s
}

// everyTime are the scenarios that run with every test, beside sieges; all of
// them take minutes.
var everyTime = []string{"attack-silent", "attack-spammer"}

// simulate runs s over a relay and logs what replays it. Runs that compare, and
// most scenarios, are for `make attacks`, and skipped otherwise.
func simulate(t *testing.T, s *scenario.Scenario, relay string) *report.Report {
	t.Helper()
	if os.Getenv("GRAPEVINE_ATTACKS") == "" && (relay != report.RelayGossip || !slices.Contains(everyTime, s.Name)) {
		t.Skip("minutes of simulations: run `make attacks`")
	}
	s.Relay = relay
	r, err := sim.Run(t.Context(), s, sim.Options{})
	require.NoError(t, err)
	text, err := json.Marshal(r)
	require.NoError(t, err)
	t.Logf("%s over %s, seed %d: %s", s.Name, relay, s.Seed, text)
	return r
}

// holds runs a scenario as it ships and wants its promises kept.
func holds(t *testing.T, s *scenario.Scenario) *report.Report {
	t.Helper()
	r := simulate(t, s, report.RelayGossip)
	require.Empty(t, r.FailedExpectations, strings.Join(r.FailedExpectations, "; "))
	for _, note := range r.Notes {
		require.NotContains(t, note, "known gap closed", "what holds is to be promised")
	}
	require.Equal(t, s.Attacking(), r.Attack.Attackers)
	require.Zero(t, *r.Attack.HonestBanned)
	require.Less(t, r.WallS, time.Minute.Seconds()*5)
	return r
}
