package node

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TestJourneys: the last ones are kept, and no more.
func TestJourneys(t *testing.T) {
	j := newJourneys()
	id := func(i int) wire.BlockID { return wire.BlockID{byte(i), byte(i >> 8)} }
	for i := range maxJourneys + 3 {
		j.note(id(i), overlay.Rebuilt{FromPool: i, Took: 1500 * time.Microsecond})
		j.note(id(i), overlay.Rebuilt{Sender: "s", FromPool: i, Asked: 2, Rounds: 1, Wanted: 5, Took: 1500 * time.Microsecond})
	}
	require.Len(t, j.of, maxJourneys)
	require.Nil(t, j.get(id(2)))
	require.Equal(t, &api.Journey{Way: "rounds", Known: 3, Asked: 2, Rounds: 1, Wanted: 5, Took: 1.5, Sender: peer.ID("s").String()}, j.get(id(3)))
}
