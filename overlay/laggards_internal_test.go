package overlay

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// A peer whose queue overflows, or does not move, is told apart from those that read.
func TestReadingsTellWhoDoesNotRead(t *testing.T) {
	o := newOutflow(100)
	for range 50 {
		for _, p := range []peer.ID{"a", "b", "c"} {
			o.queued(p)
			o.written(p)
		}
		o.queued("full")
		o.written("full")
		o.dropped("full")
	}
	o.queued("stuck")
	readings := o.readings(time.Now().Add(laggardStuck + time.Second))
	require.Equal(t, peerscore.Reading{Peer: "a", Sent: 50}, readings[0])
	require.Equal(t, []peerscore.PeerID{"full", "stuck"}, peerscore.Laggards(readings))
	for _, r := range o.readings(time.Now()) {
		require.Zero(t, r.Sent+r.Dropped, "each is told once")
	}
}
