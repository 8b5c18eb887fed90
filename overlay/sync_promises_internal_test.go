package overlay

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
)

// R114: what counts is the third time in a row and each further one, where anybody answered
// since the row began; requests that were out together are one.
func TestPromisesCountInARow(t *testing.T) {
	p, now := newPromises(), time.Unix(1_700_000_000, 0)
	broke := func(id peer.ID) bool {
		asked := now
		now = now.Add(time.Second)
		return p.broke(now, asked, id)
	}
	require.False(t, broke("liar"))
	require.False(t, broke("liar"))
	require.False(t, broke("liar"), "nobody answered: it may be our line")
	p.answered("honest")
	require.True(t, broke("liar"))
	require.True(t, broke("liar"))
	require.False(t, p.broke(now, now.Add(-time.Millisecond), "liar"), "asked before the last was broken")
	require.False(t, broke("other"))
	require.False(t, broke("other"))
	require.False(t, broke("other"), "nobody answered since its row began")

	p.answered("liar")
	p.answered("honest")
	require.False(t, broke("liar"))
	require.False(t, broke("liar"))
	p.answered("liar")
	require.False(t, broke("liar"))
	require.Len(t, p.broken, 2)
	p.forget("other")
	require.Len(t, p.broken, 1)
}
