package validation_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
)

// R50: a peer whose signatures fail is verified apart for a time.
func TestOnlyBadSignaturesMakeSuspect(t *testing.T) {
	var s validation.Suspects
	require.False(t, s.Has(now, "p"), "the zero value suspects nobody")
	innocent := []error{nil, io.EOF, validation.Unavailable, validation.BadEncoding, validation.BadTerms, validation.PoolFull}
	for _, err := range innocent {
		s.Note(now, "p", err)
		require.False(t, s.Has(now, "p"), "%v", err)
	}
	s.Note(now, "p", fmt.Errorf("transaction 3: %w", validation.BadSignature))
	require.True(t, s.Has(now, "p"))
	require.False(t, s.Has(now, "q"))
	s.Note(now, "p", nil)
	require.True(t, s.Has(now, "p"), "one good transaction clears nobody")
	require.True(t, s.Has(now.Add(validation.SuspectFor-1), "p"))
	require.False(t, s.Has(now.Add(validation.SuspectFor), "p"))
}

// TestSuspectsAgainstNaive compares with a list that never forgets.
func TestSuspectsAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s validation.Suspects
		last := make(map[peerscore.PeerID]time.Time)
		at := now
		for range rapid.IntRange(0, 100).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(0, int(validation.SuspectFor/4)).Draw(t, "later")))
			p := peerOf(rapid.IntRange(0, 9).Draw(t, "peer"))
			if rapid.Bool().Draw(t, "bad") {
				s.Note(at, p, validation.BadSignature)
				last[p] = at
			}
			noted, known := last[p]
			require.Equal(t, known && at.Sub(noted) < validation.SuspectFor, s.Has(at, p))
			require.LessOrEqual(t, s.Len(), len(last))
		}
	})
}

func TestSuspectsAreBounded(t *testing.T) {
	var s validation.Suspects
	peer := func(i int) peerscore.PeerID { return peerscore.PeerID(fmt.Sprint(i)) }
	for i := range 3 * validation.MaxSuspects {
		s.Note(now, "persistent", validation.BadSignature)
		s.Note(now, peer(i), validation.BadSignature)
		require.LessOrEqual(t, s.Len(), validation.MaxSuspects)
	}
	require.True(t, s.Has(now, "persistent"), "who goes on is not forgotten for newcomers")
	require.True(t, s.Has(now, peer(3*validation.MaxSuspects-1)))
	require.False(t, s.Has(now, peer(0)), "the one that was good for longest makes room")
	s.Note(now.Add(validation.SuspectFor), "late", validation.BadSignature)
	require.Equal(t, 1, s.Len(), "nobody is remembered beyond the time")
}
