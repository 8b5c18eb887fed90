package attack_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// Stock pubsub carries whatever fits into a frame, to everybody.
func TestOversizeTransactions(t *testing.T) {
	r := holds(t, shipped(t, "attack-oversize"))
	stock := simulate(t, shipped(t, "attack-oversize"), report.RelayStock)
	require.Greater(t, stock.Tx.LatencyMS.P99, 5*r.Tx.LatencyMS.P99)
	require.Greater(t, *stock.Bytes.Wire, 3**r.Bytes.Wire)
}

// Nodes without penalties refuse each frame, and are sent the next one.
func TestOversizeFrames(t *testing.T) {
	const frames = "attackers=[{kind: oversize, count: 2, params: {over: frame}}]"
	r := holds(t, shipped(t, "attack-oversize", frames))
	bare := simulate(t, shipped(t, "attack-oversize", frames), "lenient")
	require.Zero(t, *bare.Attack.EvictedRatio)
	require.Greater(t, *bare.Bytes.Wire, 4**r.Bytes.Wire)
}
