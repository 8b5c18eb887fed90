package overlay

import (
	"crypto/ed25519"
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/wire"
)

// signedFor is the header of one of the blocks that a producer signs for a slot.
func signedFor(key ed25519.PrivateKey, slot uint64, which byte) *wire.Header {
	body := &wire.HeaderBody{Version: wire.HeaderVersion, Height: 1, Producer: wire.Address(key.Public().(ed25519.PublicKey)), Slot: slot}
	body.Salt[0] = which
	return wire.SignHeader(wire.NetworkID{}, key, body)
}

func twinsKey(which byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), which))
}

// R123: who sends two blocks of a turn over one connection is at fault; nobody else is.
func TestTwinsOfOneTurn(t *testing.T) {
	key, other := twinsKey(1), twinsKey(2)
	a, b, c := signedFor(key, 7, 1), signedFor(key, 7, 2), signedFor(key, 7, 3)
	const p, q = peer.ID("p"), peer.ID("q")
	settled := func() *twins {
		tw := newTwins(time.Second)
		tw.anew(p)
		tw.anew(q)
		tw.beat(time.Second)
		return tw
	}
	t.Run("two", func(t *testing.T) {
		tw := settled()
		require.False(t, tw.sent(p, a))
		require.False(t, tw.sent(q, b))
		require.True(t, tw.sent(p, b))
		require.False(t, tw.again(p, b), "the same once more")
		require.True(t, tw.sent(p, c), "a third")
	})
	t.Run("a copy of what came first from others", func(t *testing.T) {
		tw := settled()
		require.False(t, tw.sent(q, a))
		require.False(t, tw.again(p, a))
		require.False(t, tw.again(p, b), "not known to be valid")
		require.True(t, tw.sent(p, b))
	})
	t.Run("other turns", func(t *testing.T) {
		tw := settled()
		require.False(t, tw.sent(p, a))
		require.False(t, tw.sent(p, signedFor(key, 8, 1)))
		require.False(t, tw.sent(p, signedFor(other, 7, 1)))
	})
	t.Run("of two lives", func(t *testing.T) {
		tw := settled()
		require.False(t, tw.sent(p, a))
		tw.anew(p) // it did not leave: its old connection has not timed out yet
		require.False(t, tw.sent(p, a), "it waited here")
		tw.beat(time.Second)
		require.False(t, tw.sent(p, b))
	})
	t.Run("a new connection", func(t *testing.T) {
		tw := settled()
		tw.anew(p)
		require.False(t, tw.sent(p, a))
		tw.beat(999 * time.Millisecond)
		require.False(t, tw.sent(p, b))
		tw.beat(time.Millisecond)
		require.False(t, tw.sent(p, a))
		require.True(t, tw.sent(p, b))
	})
}

// Neither producers gone wild nor peers that come and go fill memory.
func TestTwinsAreBounded(t *testing.T) {
	key, tw := twinsKey(1), newTwins(time.Second)
	header := signedFor(key, 1, 0)
	for i := range 2 * maxSenders {
		tw.sent(peer.ID(fmt.Sprint(i)), header)
	}
	require.Len(t, tw.turns[turnOf(header)].by, maxSenders)
	for i := range byte(2 * maxTwinsKnown) {
		tw.sent("p", signedFor(key, 1, i))
	}
	require.Len(t, tw.turns[turnOf(header)].valid, maxTwinsKnown)
	for slot := range uint64(2 * maxTurnsSent) {
		tw.sent("p", signedFor(key, slot, 0))
	}
	require.Len(t, tw.turns, maxTurnsSent)
	require.Len(t, tw.order, maxTurnsSent)
	for i := range 2 * maxSenders {
		tw.anew(peer.ID(fmt.Sprint(i)))
	}
	require.LessOrEqual(t, len(tw.fresh), maxSenders)
	last := uint64(2*maxTurnsSent - 1)
	require.False(t, tw.sent("p", signedFor(key, last, 1)), "too many to tell apart: nobody is judged")
	tw.beat(time.Second)
	require.False(t, tw.sent("p", signedFor(key, last, 0)))
	require.True(t, tw.sent("p", signedFor(key, last, 1)))
}
