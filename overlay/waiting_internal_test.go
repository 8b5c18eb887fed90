package overlay

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

func TestWaitingRoom(t *testing.T) {
	l := DefaultLimits()
	l.WaitingHeaders, l.WaitingPerPeer, l.WaitingTime = 5, 3, time.Minute
	r := newWaitingRoom(l)
	now := time.UnixMilli(1_000_000)
	at := func(id byte, from peer.ID, parent byte) held {
		return held{id: wire.BlockID{id}, from: from, parent: wire.BlockID{parent}, since: now}
	}
	require.True(t, r.put(at(1, "a", 100)))
	require.True(t, r.put(at(1, "b", 100)), "the same block waits once")
	require.True(t, r.put(at(2, "a", 100)))
	require.True(t, r.put(at(8, "a", 100)))
	require.False(t, r.put(at(9, "a", 100)), "one peer may not take all places")
	early := at(3, "b", 0)
	early.due = now.Add(time.Second)
	require.True(t, r.put(early))
	require.True(t, r.put(at(4, "b", 101)))
	require.True(t, r.put(at(5, "c", 101)), "a holds most, and loses its newest")
	require.Equal(t, 5, r.len())
	require.False(t, r.put(at(6, "c", 101)), "all hold as much")
	require.Equal(t, 5, r.len())

	require.Len(t, r.children(wire.BlockID{100}), 2)
	require.Empty(t, r.children(wire.BlockID{100}))
	require.True(t, r.put(at(7, "a", 102)), "places come back")
	require.Empty(t, r.due(now))
	due := r.due(now.Add(time.Second))
	require.Len(t, due, 1)
	require.Equal(t, wire.BlockID{3}, due[0].id)
	require.Empty(t, r.due(now.Add(2*time.Minute)), "what waited too long is forgotten")
	require.Zero(t, r.len())
	require.Empty(t, r.pen.use)
}

func TestOutbox(t *testing.T) {
	o := outbox{maxCount: 2, maxBytes: 1000}
	_, ok := o.take()
	require.False(t, ok)
	for want := 1; want <= 2; want++ {
		n, err := o.put(validation.CheckedTx{})
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	_, err := o.put(validation.CheckedTx{})
	require.ErrorIs(t, err, errOutboxFull)
	_, ok = o.take()
	require.True(t, ok)
	require.Equal(t, 1, o.len())
}
