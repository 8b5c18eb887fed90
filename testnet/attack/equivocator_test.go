package attack_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// Twins split the view of the network for a slot. There is no defence to switch
// off: fork choice cannot be left out.
func TestEquivocator(t *testing.T) {
	r := holds(t, shipped(t, "attack-equivocator"))
	calm := simulate(t, shipped(t, "attack-equivocator", "attackers=[]"), report.RelayGossip)
	require.Positive(t, *r.Chain.Rollbacks)
	require.Zero(t, *calm.Chain.Rollbacks)
	require.Equal(t, 1, *r.Chain.Heads)
}
