package attack_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Without redundancy, what silent nodes swallow is missing for long.
func TestSilent(t *testing.T) {
	holds(t, shipped(t, "attack-silent"))
	swallows(t, "attack-silent")
}

// swallows wants an attack to delay messages where there is no redundancy to
// make up for it. The ninetieth percentile repeats well, the last does not.
func swallows(t *testing.T, name string) {
	t.Helper()
	bare, calm := simulate(t, shipped(t, name), "thin"), simulate(t, shipped(t, name, "attackers=[]"), "thin")
	require.EqualValues(t, 1, *calm.Tx.DeliveryRatio)
	require.Greater(t, bare.Tx.LatencyMS.P90, 1.3*calm.Tx.LatencyMS.P90)
}
