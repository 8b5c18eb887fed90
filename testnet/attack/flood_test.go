package attack_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

func flood(message string) string {
	return "attackers=[{kind: control-flood, count: 2, params: {message: " + message + "}}]"
}

// Stock pubsub keeps every subscription of every peer.
func TestSubscriptionFlood(t *testing.T) {
	r := holds(t, shipped(t, "attack-control-flood"))
	stock := simulate(t, shipped(t, "attack-control-flood"), report.RelayStock)
	require.Greater(t, *stock.Resources.HeapMBPerNode, 2**r.Resources.HeapMBPerNode)
}

// Stock pubsub makes objects of all that a frame holds, for as long as frames come.
func TestElementBomb(t *testing.T) {
	r := holds(t, shipped(t, "attack-control-bomb"))
	stock := simulate(t, shipped(t, "attack-control-bomb"), report.RelayStock)
	require.Zero(t, *stock.Attack.EvictedRatio)
	require.Greater(t, *stock.Resources.CPUS, 3**r.Resources.CPUS)
}

// Grafting again right after a prune is cut, but by nodes that hold nothing against anybody.
func TestGraftsDuringBackoff(t *testing.T) {
	r := simulate(t, shipped(t, "attack-control-flood", flood("prune")), report.RelayGossip)
	require.EqualValues(t, 1, *r.Attack.EvictedRatio)
	require.EqualValues(t, 1, *r.Tx.DeliveryRatio)
	bare := simulate(t, shipped(t, "attack-control-flood", flood("prune")), "lenient")
	require.Zero(t, *bare.Attack.EvictedRatio)
}

// The other floods reach their victims, stop nothing, and are cut.
func TestOtherFloods(t *testing.T) {
	calm := simulate(t, shipped(t, "attack-control-flood", "attackers=[]"), report.RelayGossip)
	// Who is cut at once has sent little, and carries nothing any more.
	for message, factor := range map[string]float64{"ihave": 2, "iwant": 0.7, "idontwant": 2, "graft": 0.5} {
		t.Run(message, func(t *testing.T) {
			r := simulate(t, shipped(t, "attack-control-flood", flood(message)), report.RelayGossip)
			require.EqualValues(t, 1, *r.Tx.DeliveryRatio)
			require.Less(t, r.Tx.LatencyMS.P99, 3*calm.Tx.LatencyMS.P99)
			require.Greater(t, float64(*r.Bytes.Wire), factor*float64(*calm.Bytes.Wire))
			require.Zero(t, *r.Attack.HonestBanned)
			require.EqualValues(t, 1, *r.Attack.EvictedRatio)
		})
	}
}
