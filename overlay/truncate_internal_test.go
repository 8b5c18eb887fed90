package overlay

import (
	"testing"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

// drawRPC draws an RPC with control, subscriptions and messages.
func drawRPC(t *rapid.T) *pb.RPC {
	ids := rapid.SliceOfN(rapid.StringN(1, 20, 20), 0, 5)
	topic := proto.String("topic")
	rpc := &pb.RPC{Control: new(pb.ControlMessage)}
	for range rapid.IntRange(0, 4).Draw(t, "entries") {
		switch rapid.IntRange(0, 6).Draw(t, "sort") {
		case 0:
			rpc.Control.Ihave = append(rpc.Control.Ihave, &pb.ControlIHave{TopicID: topic, MessageIDs: ids.Draw(t, "ihave")})
		case 1:
			rpc.Control.Iwant = append(rpc.Control.Iwant, &pb.ControlIWant{MessageIDs: ids.Draw(t, "iwant")})
		case 2:
			rpc.Control.Graft = append(rpc.Control.Graft, &pb.ControlGraft{TopicID: topic})
		case 3:
			rpc.Control.Prune = append(rpc.Control.Prune, &pb.ControlPrune{TopicID: topic, Backoff: proto.Uint64(60), Peers: []*pb.PeerInfo{{PeerID: []byte("p")}}})
		case 4:
			rpc.Control.Idontwant = append(rpc.Control.Idontwant, &pb.ControlIDontWant{MessageIDs: ids.Draw(t, "idontwant")})
		case 5:
			rpc.Subscriptions = append(rpc.Subscriptions, &pb.RPC_SubOpts{Topicid: topic, Subscribe: proto.Bool(true)})
		case 6:
			rpc.Publish = append(rpc.Publish, &pb.Message{Topic: topic, Data: []byte{1}})
		}
	}
	return rpc
}

// counted is what decoded RPC holds beside messages.
func counted(rpc *pb.RPC) (e elements) {
	e.subscriptions = len(rpc.GetSubscriptions())
	c := rpc.GetControl()
	e.grafts = len(c.GetGraft()) + len(c.GetPrune())
	e.units = e.subscriptions + e.grafts + len(c.GetIhave()) + len(c.GetIwant()) + len(c.GetIdontwant())
	for _, have := range c.GetIhave() {
		e.ids += len(have.GetMessageIDs())
	}
	for _, prune := range c.GetPrune() {
		e.ids += len(prune.GetPeers())
	}
	for _, want := range c.GetIwant() {
		e.ids += len(want.GetMessageIDs())
	}
	for _, want := range c.GetIdontwant() {
		e.ids += len(want.GetMessageIDs())
	}
	return e
}

func TestP15TruncateKeepsWhatIsAllowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rpc := drawRPC(t)
		raw, err := proto.Marshal(rpc)
		require.NoError(t, err)
		rest, messages, others := splitRPC(raw, "topic", newNames(0))
		require.Len(t, messages, len(rpc.GetPublish()))
		want := counted(rpc)
		want.units++ // control itself
		require.Equal(t, want, others)

		all := new(pb.RPC)
		require.NoError(t, proto.Unmarshal(truncate(rest, others), all))
		rpc.Publish = nil
		require.True(t, proto.Equal(rpc, all), "what is within the budget stays as it is")

		keep := elements{
			ids:           rapid.IntRange(0, others.ids).Draw(t, "ids"),
			subscriptions: rapid.IntRange(0, others.subscriptions).Draw(t, "subscriptions"),
			grafts:        rapid.IntRange(0, others.grafts).Draw(t, "grafts"),
		}
		some := new(pb.RPC)
		require.NoError(t, proto.Unmarshal(truncate(rest, keep), some))
		left := counted(some)
		require.Equal(t, keep.subscriptions, left.subscriptions)
		require.Equal(t, keep.grafts, left.grafts)
		require.LessOrEqual(t, left.ids, keep.ids)
		if keep.grafts == others.grafts { // no offered peer left with its PRUNE
			require.Equal(t, keep.ids, left.ids)
		}
	})
}
