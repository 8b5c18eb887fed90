package testnet_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// TestFiguresAreOfWhatShips: a committed report is one that today's program could have
// written, of a network that the shipped scenario describes today. `make figures
// SCENARIOS=NAME` makes it anew.
func TestFiguresAreOfWhatShips(t *testing.T) {
	files, err := filepath.Glob("../docs/figures/*-*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			var r report.Report
			d := json.NewDecoder(bytes.NewReader(b))
			d.DisallowUnknownFields()
			require.NoError(t, d.Decode(&r))
			require.NoError(t, r.Validate())
			require.Equal(t, strings.TrimSuffix(filepath.Base(file), ".json"), r.Scenario+"-"+r.Relay)

			s, err := scenario.Load(r.Scenario)
			require.NoError(t, err)
			require.Equal(t, s.Nodes, r.Nodes)
			require.Equal(t, s.Seed, r.Seed)
			most, drawn := links(s)
			require.LessOrEqual(t, r.Links, most)
			if drawn {
				require.GreaterOrEqual(t, 10*r.Links, 9*most) // a run notes which of them were not up in time
			}
		})
	}
}

// links is how many connected pairs a scenario's network has at most, and whether it is meant
// to have them: not where nodes find each other, or attackers have links of their own.
func links(s *scenario.Scenario) (most int, drawn bool) {
	nodes, drawn := s.Nodes, s.Network.Bootstrap == 0
	if s.World == report.WorldLocal { // attackers are not counted there
		nodes -= s.Attacking()
	}
	most = min(nodes*s.Network.Dials, nodes*(nodes-1)/2)
	for _, a := range s.Attackers {
		if a.Links > 0 {
			most, drawn = nodes*(nodes-1)/2, false
		}
	}
	if s.Network.Bootstrap > 0 {
		most = nodes * (nodes - 1) / 2
	}
	return most, drawn
}

// TestLinksOfScenarios: how many links a report may tell of, in the worlds that count them.
func TestLinksOfScenarios(t *testing.T) {
	for name, want := range map[string]struct {
		most  int
		drawn bool
	}{
		"tx-50":                     {50 * 10, true},
		"attack-invalid-signatures": {10, true}, // five daemons, each connected to all others
		"attack-valid-spam":         {10, true},
		"block-flood-local":         {10, true},
		"attack-eclipse":            {220 * 219 / 2, false},
		"attack-cold-boot":          {0, false},
	} {
		s, err := scenario.Load(name)
		require.NoError(t, err)
		most, drawn := links(s)
		require.Equal(t, want.drawn, drawn, name)
		if want.most > 0 {
			require.Equal(t, want.most, most, name)
		}
	}
}
