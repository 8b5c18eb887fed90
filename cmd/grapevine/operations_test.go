package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/config"
)

// TestOperationsNamesEverySetting keeps the operator's handbook whole.
func TestOperationsNamesEverySetting(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	settings, err := config.Load(config.Sources{})
	require.NoError(t, err)
	for _, e := range settings.Entries() {
		require.Contains(t, string(text), "| `"+e.Key+"` |")
	}
}
