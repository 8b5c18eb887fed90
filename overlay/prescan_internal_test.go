package overlay

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

var testScan = scanLimits{Subscriptions: 4, Messages: 10, Controls: 6, IDs: 20, Unknown: 3, Name: 40}

func encode(t testing.TB, rpc *pb.RPC) []byte {
	t.Helper()
	b, err := proto.Marshal(rpc)
	require.NoError(t, err)
	return b
}

func ids(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("%020d", i))
	}
	return out
}

func many[T any](n int, v T) (out []T) {
	for range n {
		out = append(out, v)
	}
	return out
}

func TestPrescan(t *testing.T) {
	topic := proto.String("topic")
	message := &pb.Message{Topic: topic, Data: []byte("data")}
	sub := &pb.RPC_SubOpts{Topicid: topic, Subscribe: proto.Bool(true)}
	long := &pb.RPC_SubOpts{Topicid: proto.String(strings.Repeat("t", 60))}
	control := func(c *pb.ControlMessage) []byte { return encode(t, &pb.RPC{Control: c}) }
	field := func(num protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
	}
	group := protowire.AppendTag(protowire.AppendTag(nil, 7, protowire.StartGroupType), 7, protowire.EndGroupType)

	for name, test := range map[string]struct {
		rpc []byte
		err error
	}{
		"empty":                     {nil, nil},
		"all that is allowed":       {encode(t, &pb.RPC{Subscriptions: many(4, sub), Publish: many(10, message), Control: &pb.ControlMessage{Ihave: []*pb.ControlIHave{{TopicID: topic, MessageIDs: ids(20)}}, Graft: []*pb.ControlGraft{{TopicID: topic}}}}), nil},
		"subscriptions":             {encode(t, &pb.RPC{Subscriptions: many(5, sub)}), FrameTooMany},
		"messages":                  {encode(t, &pb.RPC{Publish: many(11, message)}), FrameTooMany},
		"IHAVE ids":                 {control(&pb.ControlMessage{Ihave: []*pb.ControlIHave{{TopicID: topic, MessageIDs: ids(21)}}}), FrameTooMany},
		"IWANT ids, spread":         {control(&pb.ControlMessage{Iwant: many(3, &pb.ControlIWant{MessageIDs: ids(7)})}), FrameTooMany},
		"IDONTWANT ids":             {control(&pb.ControlMessage{Idontwant: []*pb.ControlIDontWant{{MessageIDs: ids(21)}}}), FrameTooMany},
		"ids of all kinds":          {control(&pb.ControlMessage{Iwant: []*pb.ControlIWant{{MessageIDs: ids(11)}}, Idontwant: []*pb.ControlIDontWant{{MessageIDs: ids(10)}}}), FrameTooMany},
		"ids, empty strings":        {control(&pb.ControlMessage{Iwant: []*pb.ControlIWant{{MessageIDs: many(21, "")}}}), FrameTooMany},
		"offered peers":             {control(&pb.ControlMessage{Prune: []*pb.ControlPrune{{TopicID: topic, Peers: many(21, &pb.PeerInfo{PeerID: []byte("p")})}}}), FrameTooMany},
		"grafts":                    {control(&pb.ControlMessage{Graft: many(7, &pb.ControlGraft{TopicID: topic})}), FrameTooMany},
		"empty IWANT of a split":    {control(&pb.ControlMessage{Iwant: []*pb.ControlIWant{{}}}), nil},
		"empty IWANT bomb":          {control(&pb.ControlMessage{Iwant: many(100_000, &pb.ControlIWant{})}), FrameTooMany},
		"empty messages":            {bytes.Repeat(field(2, nil), bombElements), FrameEmptyElement},
		"empty message bomb":        {bytes.Repeat(field(2, nil), 262_144), FrameBomb},
		"empty subscription bomb":   {bytes.Repeat(field(1, nil), 262_144), FrameBomb},
		"long names of topics, few": {encode(t, &pb.RPC{Subscriptions: many(4, long)}), nil},
		"control repeated":          {bytes.Repeat(control(&pb.ControlMessage{Graft: many(3, &pb.ControlGraft{TopicID: topic})}), 3), FrameTooMany},
		"control bomb in pieces":    {bytes.Repeat(field(3, field(3, nil)), 100_000), FrameTooMany},
		"unknown fields":            {bytes.Repeat(field(99, []byte("x")), 4), FrameTooMany},
		"unknown fields, few":       {bytes.Repeat(field(99, []byte("x")), 3), nil},
		"unknown inside of control": {field(3, bytes.Repeat(field(99, nil), 4)), FrameTooMany},
		"varint where bytes belong": {bytes.Repeat(protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 1), 4), FrameTooMany},
		"group":                     {group, FrameGarbage},
		"group nested in control":   {field(3, group), FrameGarbage},
		"cut tag":                   {[]byte{0x80}, FrameGarbage},
		"length beyond the end":     {[]byte{0x12, 0x7f, 1}, FrameGarbage},
		"length 2^63":               {append([]byte{0x12}, protowire.AppendVarint(nil, 1<<63)...), FrameGarbage},
		"field number 0":            {[]byte{0x02, 0x00}, FrameGarbage},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, prescan(test.rpc, testScan), test.err)
			require.Zero(t, testing.AllocsPerRun(3, func() { _ = prescan(test.rpc, testScan) }), "counting must cost no memory")
		})
	}
}

// R86: a few names over limit may be a fault; a frame full of them is none.
func TestPrescanFindsBombs(t *testing.T) {
	wide := scanLimits{Subscriptions: 64, Name: 40}
	long := &pb.RPC_SubOpts{Topicid: proto.String(strings.Repeat("t", 60))}
	require.NoError(t, prescan(encode(t, &pb.RPC{Subscriptions: many(bombNames, long)}), wide))
	require.ErrorIs(t, prescan(encode(t, &pb.RPC{Subscriptions: many(bombNames+1, long)}), wide), FrameBomb)
	short := &pb.RPC_SubOpts{Topicid: proto.String(strings.Repeat("t", 40))}
	require.NoError(t, prescan(encode(t, &pb.RPC{Subscriptions: many(64, short)}), wide))
}

// What passes the scan decodes into no more elements than the limits say.
func FuzzPrescan(f *testing.F) {
	topic := proto.String("t")
	f.Add(encode(f, &pb.RPC{Publish: []*pb.Message{{Topic: topic, Data: []byte("d")}}}))
	f.Add(encode(f, &pb.RPC{Control: &pb.ControlMessage{
		Ihave: []*pb.ControlIHave{{TopicID: topic, MessageIDs: ids(3)}},
		Prune: []*pb.ControlPrune{{TopicID: topic, Peers: []*pb.PeerInfo{{PeerID: []byte("p")}}}},
	}}))
	f.Add([]byte{0x12, 0x00})
	f.Add([]byte{0x1a, 0x02, 0x12, 0x00})
	f.Fuzz(func(t *testing.T, in []byte) {
		if prescan(in, testScan) != nil {
			return
		}
		var rpc pb.RPC
		if proto.Unmarshal(in, &rpc) != nil {
			return // pubsub resets the stream
		}
		c := rpc.GetControl()
		controls := len(c.GetIhave()) + len(c.GetIwant()) + len(c.GetGraft()) + len(c.GetPrune()) + len(c.GetIdontwant())
		n := 0
		for _, x := range c.GetIhave() {
			n += len(x.GetMessageIDs())
		}
		for _, x := range c.GetIwant() {
			n += len(x.GetMessageIDs())
		}
		for _, x := range c.GetIdontwant() {
			n += len(x.GetMessageIDs())
		}
		for _, x := range c.GetPrune() {
			n += len(x.GetPeers())
		}
		if len(rpc.GetSubscriptions()) > testScan.Subscriptions || len(rpc.GetPublish()) > testScan.Messages ||
			controls > testScan.Controls || n > testScan.IDs {
			t.Fatalf("passed with %d subscriptions, %d messages, %d controls, %d ids: %x",
				len(rpc.GetSubscriptions()), len(rpc.GetPublish()), controls, n, in)
		}
	})
}
