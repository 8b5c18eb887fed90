package overlay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What an instance announced can be had for as long, however often its heart beats.
func TestHistoryDoesNotDependOnTheHeartbeat(t *testing.T) {
	g := DefaultGossip()
	whole := time.Duration(g.HistoryLength) * g.Heartbeat
	for _, beat := range []time.Duration{g.Heartbeat, g.BlockHeartbeat, 100 * time.Millisecond} {
		p := g.params(beat)
		require.Equal(t, beat, p.HeartbeatInterval)
		held := time.Duration(p.HistoryLength) * beat
		require.InDelta(t, whole.Seconds(), held.Seconds(), whole.Seconds()/3)
		require.GreaterOrEqual(t, held-time.Duration(p.HistoryGossip)*beat, 3*DefaultLimits().PullPatience, "time to ask several peers")
	}
	for _, beat := range []time.Duration{g.Heartbeat, g.BlockHeartbeat} {
		p := g.params(beat)
		require.InDelta(t, opportunity.Seconds(), (time.Duration(p.OpportunisticGraftTicks) * beat).Seconds(), beat.Seconds(), "a poor mesh looks for better peers as often")
		require.Equal(t, 3, p.OpportunisticGraftPeers)
	}
	g.BlockHeartbeat = 2 * g.Heartbeat
	require.ErrorContains(t, g.Validate(), "BlockHeartbeat")
}
