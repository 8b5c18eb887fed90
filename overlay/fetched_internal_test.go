package overlay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// R19: what was fetched lately is passed on when the topic brings it, once, and what came otherwise is not.
// R45: nor what is ours and waits for its echoes, which the announcer tells: a peer that got it from us by
// the topic can echo it no more.
func TestFetchedIsPassedOnOnce(t *testing.T) {
	road := apartRoad(time.Now, Hooks{})
	waiting := wire.TxID{}
	road.waits = func(id wire.TxID) bool { return id == waiting }
	known := func(n byte) validation.TxResult {
		return validation.TxResult{ID: wire.TxID{n}, Err: validation.AlreadyKnown}
	}
	now := time.Now()
	for n := range byte(5) {
		road.fetched.put(now, wire.TxID{n})
	}
	require.True(t, road.kept(known(4)))
	require.False(t, road.kept(known(4)), "it was passed on")
	require.False(t, road.kept(known(9)), "it came by the topic")
	waiting = wire.TxID{1}
	require.False(t, road.kept(known(1)), "the announcer tells it")
	require.False(t, road.kept(validation.TxResult{ID: wire.TxID{2}, Err: validation.StaleNonce}), "no longer here")

	travels := DefaultGossip().SeenTTL
	require.True(t, road.fetched.take(now.Add(travels-1), wire.TxID{2}))
	require.False(t, road.fetched.take(now.Add(travels), wire.TxID{3}), "long ago")
}

// R19: it is passed on also where the topic brought it by a suspect first, whom the router is told to ignore.
func TestFetchedIsPassedOnThoughASuspectBroughtIt(t *testing.T) {
	road := apartRoad(time.Now, Hooks{})
	road.waits = func(wire.TxID) bool { return false }
	tx := soundTxs(t, "fetched", 1)[0]
	r := validation.TxResult{ID: tx.ID(), Checked: tx, Err: validation.AlreadyKnown}
	require.False(t, road.passes("suspect", r))
	road.fetched.put(time.Now(), tx.ID())
	require.True(t, road.passes("suspect", r))
	road.fetched.put(time.Now(), tx.ID())
	r.Checked = validation.CheckedTx{}
	require.False(t, road.passes("suspect", r), "nothing to pass on")
}
