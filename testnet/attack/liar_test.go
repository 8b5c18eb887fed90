package attack_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// What silence does to nodes that ask one peer and wait for it is in TestSieges.
func TestLyingSync(t *testing.T) { holds(t, shipped(t, "attack-lying-sync")) }

// Other lies are found out at once.
func TestOtherLies(t *testing.T) {
	for _, lie := range []string{"rubbish", "less"} {
		t.Run(lie, func(t *testing.T) {
			r := simulate(t, shipped(t, "attack-lying-sync", "attackers=[{kind: lying-sync, count: 3, params: {lie: "+lie+"}}]"), report.RelayGossip)
			require.Equal(t, 1, *r.Chain.Heads)
			require.EqualValues(t, 1, *r.Block.DeliveryRatio)
			require.Zero(t, *r.Attack.HonestBanned)
		})
	}
}
