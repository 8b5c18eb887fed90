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
			require.Equal(t, s.Nodes*s.Network.Dials, r.Links)
			require.Equal(t, s.Seed, r.Seed)
		})
	}
}
