package attack_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// What a slow reader does not take waits in the memory of stock pubsub.
func TestSlowReader(t *testing.T) {
	holds(t, shipped(t, "attack-slow-reader"))
	stock := simulate(t, shipped(t, "attack-slow-reader"), report.RelayStockTuned)
	fair := simulate(t, shipped(t, "attack-slow-reader", "attackers=[]"), report.RelayStockTuned)
	require.Greater(t, *stock.Resources.HeapMBPerNode, 2**fair.Resources.HeapMBPerNode)
}
