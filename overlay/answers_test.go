package overlay_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// A peer that passes on headers before all others, and has or gives nothing of the blocks,
// holds up nobody who knows another peer.
//
// R35: the next peer is asked when one lets us wait.
func TestBlockWaitsForNoSinglePeer(t *testing.T) {
	g, c := testGenesis("no single peer"), newClock()
	c.slot.Add(1)
	over := make(chan struct{})
	n := start(t, g, c, func(c *overlay.Config) {
		// Whoever waits for an answer, or for sync, is too late.
		c.Limits.CompactTime, c.Limits.RebuildTime, c.Limits.SyncRefresh = time.Hour, time.Hour, time.Hour
	})
	mute := newHerald(t, n, func(*wire.CompactRequest) *wire.CompactAnswer {
		<-over
		return nil
	})
	defer close(over)
	honest := start(t, g, c)
	n.join(honest)
	block := seal(g, n.chain.Head(), slotOf(c), []*wire.Transaction{transfer(g, "wallet 0", 0), transfer(g, "wallet 0", 1)})
	honest.add(block) // and says nothing of it

	require.NoError(t, mute.topic.Publish(t.Context(), wire.Compact(block).AppendTo(nil)))
	eventually(t, func() bool { _, ok := n.seen.how(block.ID()); return ok }, "the block")
	how, _ := n.seen.how(block.ID())
	require.Equal(t, 2, how.Asked)
	require.Equal(t, []peerscore.PeerID{peerscore.PeerID(honest.host.ID())}, how.From)
	require.Equal(t, peerscore.PeerID(mute.host.ID()), how.Sender)
	require.False(t, how.Whole)
	require.Less(t, how.Took, 5*time.Second)
	require.Zero(t, n.seen.blamed(), "slowness proves nothing")
}
