package overlay

import (
	"fmt"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// A copy is offered once, and not when there is no room or its time is over.
func TestAside(t *testing.T) {
	a, now := newAside(), time.Now()
	id := func(i int) wire.TxID { return wire.TxIDOf(fmt.Append(nil, i)) }
	offered := func(i int) bool {
		before := len(a.copies)
		a.offer(now, id(i), txCopy{"honest", fmt.Append(nil, i)})
		return len(a.copies) > before
	}
	require.False(t, offered(0))
	a.put(now, id(0))
	require.True(t, offered(0))
	require.False(t, offered(0), "one is enough")

	a.put(now, id(1))
	now = now.Add(asideFor)
	require.False(t, offered(1))

	for i := range maxAside + 1 {
		a.put(now, id(i))
		a.put(now, id(i)) // which takes one place
	}
	require.False(t, offered(0), "the first was forgotten for the last")
	for i := 1; len(a.copies) < maxCopies; i++ {
		require.True(t, offered(i))
	}
	require.False(t, offered(maxAside))
	<-a.copies
	require.True(t, offered(maxAside), "the next copy comes in time")
}

// R121: what is put aside, or shed, is judged when a peer that is no suspect brings it too.
func TestCopiesOfWhatSuspectsBroughtAreJudged(t *testing.T) {
	road := apartRoad(time.Now, Hooks{})
	for _, p := range []peerscore.PeerID{"mallory", "unlucky"} {
		road.collector.note(time.Now(), p, validation.BadSignature)
	}
	bring := func(from peer.ID, raw string) { // as the router does
		road.began(from, []byte(raw))
		msg := &pubsub.Message{Message: &pb.Message{Data: []byte(raw)}}
		require.Equal(t, pubsub.ValidationIgnore, road.validate(t.Context(), from, msg))
	}
	again := func(from peer.ID, raw string) bool {
		before := len(road.aside.copies)
		road.copied(from, wire.TxIDOf([]byte(raw)), []byte(raw))
		return len(road.aside.copies) > before
	}
	bring("mallory", "apart")
	for range apartTxs {
		bring("mallory", "flood")
	}
	bring("mallory", "shed")
	for _, raw := range []string{"apart", "shed"} {
		require.False(t, again("unlucky", raw))
		require.True(t, again("honest", raw))
		require.False(t, again("honest", raw))
	}
	require.False(t, again("honest", "of no suspect"))
}
