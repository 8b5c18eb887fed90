package attack

import (
	"testing"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// A withholder announces what it heard, once, and never sends it.
func TestWithholderAnnounces(t *testing.T) {
	l := newLine("peer", 0)
	l.theirs["topic"] = true
	n := &node{lines: map[where]*line{{"peer", 0}: l}, kept: make(map[string]*message)}
	m := &message{"id", l, &pb.Message{Topic: proto.String("topic")}}
	n.keep(m)

	r := newWithholder(newParams(nil))
	r.message(n, m)
	r.announced(n, l, "topic", []string{"id", "other"})
	r.beat(n, time.Now())
	rpc := new(pb.RPC)
	require.NoError(t, proto.Unmarshal(<-l.out, rpc))
	require.Equal(t, []string{"id", "other"}, rpc.GetControl().GetIhave()[0].GetMessageIDs())

	r.asked(n, l, []string{"id"})
	r.beat(n, time.Now())
	require.Empty(t, l.out)

	honest{}.asked(n, l, []string{"id"})
	require.NoError(t, proto.Unmarshal(<-l.out, rpc))
	require.Len(t, rpc.GetPublish(), 1)
}
