package compact_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

// TestWhoWasLateIsNotReliedOn: a link that did not send the chunks of one block in time is not
// given any that it alone is to spread.
func TestWhoWasLateIsNotReliedOn(t *testing.T) {
	s := newStage(t, none, "a", "b", "c", "d")
	theirs, _ := block(transactions(1<<20, 1_000, 250), nil)
	s.open("b", theirs)
	s.receive("a", &compact.Have{Block: theirs.ID(), Whole: true})
	require.Len(t, only[*compact.Want](s.seen, "a"), 1)
	s.pass(20 * time.Second)
	ours, coded := cold()
	out := s.take(s.Produce(s.at, ours, coded))
	require.Empty(t, only[*compact.Chunk](out, "a"))
	require.NotEmpty(t, only[*compact.Chunk](out, "b"))
}

// TestAllLateAreAskedAllTheSame: with no better link, the block is spread among those.
func TestAllLateAreAskedAllTheSame(t *testing.T) {
	s := newStage(t, none, "a", "b", "c")
	for k := range 3 {
		b, _ := block(transactions(k<<20, 1_000, 250), nil)
		s.open("a", b)
		for _, l := range []peerscore.PeerID{"a", "b", "c"} {
			s.receive(l, &compact.Have{Block: b.ID(), Whole: true})
		}
		require.NotEmpty(t, only[*compact.Want](s.seen, "c"))
		s.pass(20 * time.Second)
	}
	b, coded := block(transactions(9<<20, 1_000, 250), nil)
	out := s.take(s.Produce(s.at, b, coded))
	for _, l := range []peerscore.PeerID{"a", "b", "c"} {
		require.NotEmpty(t, only[*compact.Chunk](out, l))
	}
}
