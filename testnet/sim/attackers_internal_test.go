package sim

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
)

// linked is a participant that has peers, and nothing else.
type linked struct {
	Participant
	to []peer.ID
}

func (l linked) Peers() []peer.ID { return l.to }

// A node that goes down between the list of those who are up and the question
// for its peers has none: the watch of attackers once fell over it.
func TestPeersOfThoseWhoWentDown(t *testing.T) {
	up := &place{up: &running{Participant: linked{to: []peer.ID{"a", "b"}}}}
	down := &place{up: &running{Participant: linked{to: []peer.ID{"c"}}}}
	listed := []*place{up, down, up}
	require.Equal(t, map[peer.ID]bool{"a": true, "b": true, "c": true}, peersOf(listed))
	down.up = nil
	require.Equal(t, map[peer.ID]bool{"a": true, "b": true}, peersOf(listed))
}
