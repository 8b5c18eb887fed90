package local

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEstimate: daemons keep transactions, and those of attackers, with all
// their bytes, but no more than mempools have room for.
func TestEstimate(t *testing.T) {
	small := estimate(smoke(t))
	require.InDelta(t, 270, small, 1)
	const load = "txs={per_second: 10, size: 130000, for: 10s}"
	large := estimate(smoke(t, load))
	require.InDelta(t, small+3*3*13, large, 5)
	require.InDelta(t, large, estimate(smoke(t, load, "txs.for=20s"))-3*3*13, 5)
	full := estimate(smoke(t, "txs={per_second: 10, size: 130000, for: 1h}"))
	require.InDelta(t, 3*(90+27+3*134.2), full, 5)
	spam := "attackers=[{kind: valid-spam, count: 1, params: {per_second: 10, size: 130000}, to: 10s}]"
	require.InDelta(t, 40+2*(90+3*13), estimate(smoke(t, spam)), 5, "an attacker is smaller than a daemon")
}
