package sim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// A run whose virtual time stands still is ended, and says where it stood.
func TestStuckRunFails(t *testing.T) {
	s := &scenario.Scenario{
		Name: "stuck", World: report.WorldSim, Relay: "stalls", Seed: 1, Nodes: 3, Network: scenario.Network{Dials: 2},
		Settle: 5 * time.Second, Drain: time.Second, Txs: scenario.Txs{PerSecond: 1, Size: 250, For: 5 * time.Second},
	}
	_, err := parent(t.Context(), job{s, t.TempDir(), false, 0, 3 * time.Second}, func(Progress) {})
	require.Error(t, err)
	require.Regexp(t, `^the simulation hangs: virtual time has stood still at (2\.9|3\.0) s for 3s \(settling, 0 messages published, 0 deliveries\)$`, err.Error())
}

// What moves slowly does not hang.
func TestWatchdog(t *testing.T) {
	w := newWatchdog(time.Second, 200*time.Millisecond)
	for i := range 20 {
		require.NoError(t, w.look(Progress{Phase: Loading, VirtualS: float64(i / 5)}), i)
	}
	require.NoError(t, w.look(Progress{Phase: Stopping, VirtualS: 3}), "the phase is another")
	for range 4 {
		require.NoError(t, w.look(Progress{Phase: Stopping, VirtualS: 3}))
	}
	require.ErrorContains(t, w.look(Progress{Phase: Stopping, VirtualS: 3, Published: 4, Delivered: 5}), "at 3.0 s for 1s (stopping, 4 messages published, 5 deliveries)")

	w = newWatchdog(time.Second, time.Second)
	require.ErrorContains(t, w.look(Progress{}), "not started")
	require.Greater(t, stuckAfter, time.Minute)
}
