package overlay

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TestHolders: what passed on a link is known there; what came from peers is common after a
// while; what began here is not before somebody gave it back.
func TestHolders(t *testing.T) {
	now := time.Unix(1_000, 0)
	h := newHolders(func() time.Time { return now })
	sees := func(p peer.ID, id wire.TxID, known, common bool) {
		t.Helper()
		require.Equal(t, known, h.Known(peerscore.PeerID(p), id), "known")
		require.Equal(t, common, h.Common(id), "common")
	}
	restored, heard, mine := testID(1), testID(2), testID(3)
	sees("a", restored, false, true)

	h.came("a", heard)
	sees("a", heard, true, false)
	sees("b", heard, false, false)
	h.holds("b", heard)
	sees("b", heard, true, false)
	sees("c", heard, false, false)
	now = now.Add(commonAfter)
	sees("c", heard, true, true)

	h.own(mine)
	now = now.Add(commonAfter)
	sees("a", mine, false, false)
	h.holds("a", mine)
	sees("a", mine, true, false)
	sees("b", mine, false, false)
	h.came("b", mine)
	h.own(mine) // announced again, and with others all the same
	now = now.Add(commonAfter)
	sees("c", mine, true, true)

	now = now.Add(commonFor)
	h.drop("a")
	sees("a", heard, false, true)
	sees("b", heard, true, true)
	h.keep(map[peer.ID]bool{"a": true})
	sees("b", heard, false, true)
}
