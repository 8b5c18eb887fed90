package compact_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TestKnownSet compares the set with lists of all that was noted: it may forget what is
// older than the last n, and never knows what was not noted.
func TestKnownSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "n")
		s := compact.NewKnownSet([16]byte{1}, 2, n)
		noted := map[peerscore.PeerID][]wire.TxID{}
		for range rapid.IntRange(0, 60).Draw(t, "notes") {
			link := rapid.SampledFrom([]peerscore.PeerID{"a", "b"}).Draw(t, "link")
			id := wire.TxID{rapid.Byte().Draw(t, "id") % 32}
			s.Note(link, id)
			noted[link] = append(noted[link], id)
			require.True(t, s.Known(link, id), "the last one")
		}
		for _, link := range []peerscore.PeerID{"a", "b"} {
			for id := range byte(32) {
				id := wire.TxID{id}
				if !slices.Contains(noted[link], id) {
					require.False(t, s.Known(link, id), "never noted")
				}
			}
		}
	})
}

func TestKnownSetRemembers(t *testing.T) {
	s := compact.NewKnownSet([16]byte{1}, 1, 100)
	id := func(i int) wire.TxID { return wire.TxID{byte(i), byte(i >> 8)} }
	for i := range 1_000 {
		s.Note("a", id(i))
		for k := max(0, i-99); k <= i; k++ {
			require.True(t, s.Known("a", id(k)), "one of the last hundred")
		}
		require.False(t, s.Known("a", id(i-200)) && i >= 200, "older than two generations")
	}
	s.Note("b", id(1))
	require.False(t, s.Known("b", id(1)), "a link beyond the bound")
	s.Drop("a")
	require.False(t, s.Known("a", id(999)))
	s.Note("b", id(1))
	require.True(t, s.Known("b", id(1)))
	s.Keep(func(link peerscore.PeerID) bool { return link != "b" })
	s.Note("c", id(1))
	require.True(t, s.Known("c", id(1)), "in the place of the one that did not stay")
	require.False(t, s.Known("b", id(1)))
}
