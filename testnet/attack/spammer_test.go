package attack_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// Nodes without penalties check forgeries for as long as they come; stock
// pubsub, which checks nothing, carries them to everybody.
func TestSpammer(t *testing.T) {
	r := holds(t, shipped(t, "attack-spammer"))
	bare := simulate(t, shipped(t, "attack-spammer"), "lenient")
	require.Zero(t, *bare.Attack.EvictedRatio)
	require.Greater(t, float64(*bare.Bytes.Wire), 1.5*float64(*r.Bytes.Wire))
	stock := simulate(t, shipped(t, "attack-spammer"), report.RelayStockTuned)
	require.Greater(t, *stock.Bytes.Wire, 5**r.Bytes.Wire)
}
