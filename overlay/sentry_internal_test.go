package overlay

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"testing"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// askingSentry has a mesh of four peers and asks as often as it may.
func askingSentry(t *testing.T) *sentry {
	t.Helper()
	c := peerscore.DefaultLookoutConfig()
	often := peerscore.Pace{PerSecond: 1000, Share: 0.25}
	c.Settled, c.Unsure, c.Suspect = often, often, often
	c.Grace, c.GraftGrace = time.Nanosecond, time.Nanosecond
	s := newSentry(c, &roster{members: map[peer.ID]*member{}}, new(crew), slog.New(slog.DiscardHandler))
	for _, p := range []peer.ID{"a", "b", "c", "d"} {
		s.meshed(p, true)
	}
	s.lookout.Tick(time.Now())
	for i := range 100 {
		s.first("a", fmt.Append(nil, "message ", i))
	}
	s.lookout.Tick(time.Now())
	return s
}

func encodeRPC(t *testing.T, rpc *pb.RPC) []byte {
	t.Helper()
	raw, err := proto.Marshal(rpc)
	require.NoError(t, err)
	return frameOf(raw)
}

func decodeRPC(t *testing.T, frame []byte) *pb.RPC {
	t.Helper()
	if len(frame) == 0 {
		return new(pb.RPC)
	}
	size, n := binary.Uvarint(frame)
	require.Len(t, frame[n:], int(size))
	rpc := new(pb.RPC)
	require.NoError(t, proto.Unmarshal(frame[n:], rpc))
	return rpc
}

// TestSplitLosesNothing: what is sent now and what is held back are together what the
// router wrote; only what another peer gave us is held back, and control never is.
func TestSplitLosesNothing(t *testing.T) {
	s := askingSentry(t)
	topic, held := "topic", 0
	for i := range 100 {
		theirs, ours := fmt.Append(nil, "message ", i), fmt.Append(nil, "own ", i)
		rpc := &pb.RPC{
			Publish: []*pb.Message{{Topic: &topic, Data: theirs}, {Topic: &topic, Data: ours}},
			Control: &pb.ControlMessage{Graft: []*pb.ControlGraft{{TopicID: &topic}}},
		}
		frame := encodeRPC(t, rpc)
		rest, back := s.split("b", frame)
		got := decodeRPC(t, rest)
		require.NotNil(t, got.GetControl())
		for _, h := range back {
			held++
			later := decodeRPC(t, h.frame)
			require.Len(t, later.GetPublish(), 1)
			require.Equal(t, theirs, later.GetPublish()[0].GetData())
			require.Positive(t, h.pause)
			got.Publish = append(later.GetPublish(), got.GetPublish()...)
		}
		require.True(t, proto.Equal(rpc, got), "message %d", i)
		if len(back) == 0 {
			require.Equal(t, frame, rest)
		}
	}
	require.Positive(t, held)
	require.Less(t, held, 65, "no peer has more open questions")
}

func TestNothingIsHeldBackFromWhoHasIt(t *testing.T) {
	s := askingSentry(t)
	topic := "topic"
	for i := range 100 {
		frame := encodeRPC(t, &pb.RPC{Publish: []*pb.Message{{Topic: &topic, Data: fmt.Append(nil, "message ", i)}}})
		_, back := s.split("a", frame)
		require.Empty(t, back, "it gave us the message")
	}
	large := make([]byte, sentryLargest)
	s.first("a", large)
	for range 100 {
		_, back := s.split("b", encodeRPC(t, &pb.RPC{Publish: []*pb.Message{{Topic: &topic, Data: large}}}))
		require.Empty(t, back)
	}
}
