package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/config"
)

// TestOperationsNamesEverySetting keeps the operator's handbook whole, and its
// defaults those of the code.
func TestOperationsNamesEverySetting(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	settings, err := config.Load(config.Sources{})
	require.NoError(t, err)
	for _, e := range settings.Entries() {
		row := "| `" + e.Key + "` |"
		if e.Key != "listen" { // too long for a table
			row += " `" + e.Value + "` |"
		}
		require.Contains(t, string(text), row)
	}
}
