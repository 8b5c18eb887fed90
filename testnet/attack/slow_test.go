package attack_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// What a slow reader does not take waits with stock pubsub; a Grapevine
// publisher waits for it, which is a known gap.
func TestSlowReader(t *testing.T) {
	r := holds(t, shipped(t, "attack-slow-reader"))
	calm := simulate(t, shipped(t, "attack-slow-reader", "attackers=[]"), report.RelayGossip)
	require.Greater(t, r.Tx.LatencyMS.P99, 1.5*calm.Tx.LatencyMS.P99)
	stock := simulate(t, shipped(t, "attack-slow-reader"), report.RelayStockTuned)
	fair := simulate(t, shipped(t, "attack-slow-reader", "attackers=[]"), report.RelayStockTuned)
	require.Greater(t, *stock.Resources.HeapMBPerNode, 2**fair.Resources.HeapMBPerNode)
}
