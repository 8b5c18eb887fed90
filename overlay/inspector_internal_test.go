package overlay

import (
	"strings"
	"testing"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// R103: what cannot come in time is not asked for, so that nobody breaks a promise to send it.
func TestNobodyIsAskedWhileLinesAreFull(t *testing.T) {
	jammed, heard := true, 0
	i := &inspector{
		topic: "ours", jammed: func() bool { return jammed }, heard: func([]string, peer.ID) { heard++ },
		pulls: newPulls(time.Second, time.Minute, 100), asking: make(chan struct{}, 1),
	}
	have := func() []*pb.ControlIHave {
		return i.haves("p", []*pb.ControlIHave{{TopicID: proto.String("ours"), MessageIDs: []string{strings.Repeat("m", messageIDSize)}}})
	}
	require.Empty(t, have())
	require.Empty(t, i.asking)
	require.Equal(t, 1, heard, "that a peer has it is worth knowing all the same")
	jammed = false
	require.Len(t, have()[0].GetMessageIDs(), 1)
}
