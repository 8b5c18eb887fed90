package overlay_test

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// hub starts a node with four peers, which have the seats 1 to 4: few enough for its mesh to
// take everybody.
func hub(t *testing.T, q *quietNet) (center *node, around []*node) {
	q.Start()
	t.Cleanup(q.Close)
	g, c := testGenesis("hub"), newClock()
	center = startOn(t, q.host(t, 0), newChain(t, g, c))
	for i := range 4 {
		n := startOn(t, q.host(t, 1+i), newChain(t, g, c))
		require.NoError(t, n.Connect(t.Context(), center.addr()))
		around = append(around, n)
	}
	time.Sleep(10 * time.Second)
	return center, around
}

// talk has a node publish 200 KB a second for a while.
func (n *node) talk(long time.Duration) {
	n.t.Helper()
	end := time.Now().Add(long)
	for i := 0; time.Now().Before(end); i++ {
		n.submit(transfer(n.g, fmt.Sprint("wallet ", i%8), uint64(i/8), func(b *wire.TxBody) {
			b.Payload, b.Fee = bytes.Repeat([]byte{byte(i)}, 100_000), 10_000_000
		}))
		time.Sleep(500 * time.Millisecond)
	}
}

// R97: a line that ends without a word makes no slow reader of the peer behind it.
func TestDeadLineIsNoSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuietNet(1, 0) // the same ways each time
		center, around := hub(t, q)
		q.mute.Store(1)
		center.talk(45 * time.Second)
		require.False(t, center.knows(around[0].host.ID()), "the line was dead until it was given up")
		require.Zero(t, center.seen.blamed())
	})
}

// R97: who does not read over a line that works is a slow reader, though it says nothing.
func TestWhoReadsNothingIsASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, began := newQuietNet(1, 0), time.Now()
		center, _ := hub(t, q)
		deaf := q.host(t, 5)
		stay := func(network.Stream) {}
		deaf.SetStreamHandler(meshTx, stay)
		greet(t, deaf, center)
		subscribe(t, deaf, center)
		eventually(t, func() bool { return center.peer(deaf.ID()).InTxMesh }, "in the mesh")
		// Its stream is full after 3 s and given up after 12. Peers are judged every 10 s.
		time.Sleep(time.Until(began.Add(21 * time.Second)))
		center.talk(12 * time.Second)
		require.Contains(t, center.seen.offencesOf(deaf.ID()), peerscore.SlowReader)
	})
}

// subscribe has a plain host say that it wants transactions, and ask for a place in the mesh.
func subscribe(t *testing.T, h host.Host, n *node) {
	t.Helper()
	yes, topic := true, overlay.TxTopic(n.g.ID())
	rpc, err := proto.Marshal(&pb.RPC{
		Subscriptions: []*pb.RPC_SubOpts{{Subscribe: &yes, Topicid: &topic}},
		Control:       &pb.ControlMessage{Graft: []*pb.ControlGraft{{TopicID: &topic}}},
	})
	require.NoError(t, err)
	s, err := h.NewStream(t.Context(), n.host.ID(), meshTx)
	require.NoError(t, err)
	_, err = s.Write(frame(rpc))
	require.NoError(t, err)
}
