package overlay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
)

// R16: a gap of nonces waits, within bounds.
func TestGapsAreBoundedPerPeer(t *testing.T) {
	g := newGaps()
	now := time.UnixMilli(0)
	for range gapPerPeer {
		require.True(t, g.put(early{validation.CheckedTx{}, "a", now}))
	}
	require.False(t, g.put(early{validation.CheckedTx{}, "a", now}))
	for range gapPlaces - gapPerPeer {
		require.True(t, g.put(early{validation.CheckedTx{}, "b", now.Add(time.Second)}))
	}
	require.False(t, g.put(early{validation.CheckedTx{}, "c", now}))
	// What is in time stays, the rest is forgotten.
	require.Empty(t, g.retry(now.Add(time.Millisecond), func(early) (bool, bool) { return true, false }))
	require.Len(t, g.items, gapPlaces-gapPerPeer)
	require.Len(t, g.retry(now, func(early) (bool, bool) { return false, true }), gapPlaces-gapPerPeer)
	require.Empty(t, g.items)
	require.Empty(t, g.of)
}
