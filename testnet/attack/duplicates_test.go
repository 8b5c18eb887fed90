package attack_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// There is no defence to switch off: what duplicates cost is a known gap.
func TestDuplicates(t *testing.T) {
	r := holds(t, shipped(t, "attack-duplicates"))
	calm := simulate(t, shipped(t, "attack-duplicates", "attackers=[]"), report.RelayGossip)
	require.Greater(t, *r.Tx.CopiesPerDelivery, 5**calm.Tx.CopiesPerDelivery)
	require.Greater(t, *r.Bytes.Wire, 4**calm.Bytes.Wire)
	require.Less(t, r.Tx.LatencyMS.P99, 2*calm.Tx.LatencyMS.P99)
}
