package overlay

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

// announcing is an RPC as the router writes it.
func announcing(t require.TestingT, rpc *pb.RPC) []byte {
	body, err := proto.Marshal(rpc)
	require.NoError(t, err)
	return frameOf(body)
}

func ihave(ids ...string) *pb.RPC {
	topic := "topic"
	return &pb.RPC{Control: &pb.ControlMessage{Ihave: []*pb.ControlIHave{{TopicID: &topic, MessageIDs: ids}}}}
}

// announcedIn are the ids that a frame announces.
func announcedIn(t require.TestingT, frame []byte) (ids []string) {
	if len(frame) == 0 {
		return nil
	}
	raw, err := readFrame(bufio.NewReader(bytes.NewReader(frame)), len(frame))
	require.NoError(t, err)
	var rpc pb.RPC
	require.NoError(t, proto.Unmarshal(raw, &rpc))
	for _, h := range rpc.GetControl().GetIhave() {
		require.Equal(t, "topic", h.GetTopicID())
		require.NotEmpty(t, h.GetMessageIDs())
		ids = append(ids, h.GetMessageIDs()...)
	}
	return ids
}

// R115: who told us of a message is told once that we have it, and others as often as the
// router likes.
func TestWhoToldUsIsToldOnce(t *testing.T) {
	v, now := newInventory(time.Second), time.Unix(1_700_000_000, 0)
	v.arrived(now, "sender", "a")
	v.arrived(now, "sender", "b")
	v.heard("announcer", "a", "unknown")
	for range 3 {
		require.Equal(t, []string{"a", "b"}, announcedIn(t, v.trim(now, "other", announcing(t, ihave("a", "b")))))
	}
	require.Equal(t, []string{"a", "b"}, announcedIn(t, v.trim(now, "sender", announcing(t, ihave("a", "b")))), "it hears that we have them")
	require.Empty(t, v.trim(now, "sender", announcing(t, ihave("a", "b"))), "nothing is left to write")
	require.Equal(t, []string{"a", "b"}, announcedIn(t, v.trim(now, "announcer", announcing(t, ihave("a", "b")))))
	require.Equal(t, []string{"b", "own"}, announcedIn(t, v.trim(now, "announcer", announcing(t, ihave("a", "b", "own")))))
	v.heard("announcer", "own")
	require.Equal(t, []string{"b"}, announcedIn(t, v.trim(now, "announcer", announcing(t, ihave("a", "b", "own")))))

	now = now.Add(2 * time.Second)
	v.arrived(now, "sender", "c")
	now = now.Add(2 * time.Second)
	require.Equal(t, []string{"a"}, announcedIn(t, v.trim(now, "sender", announcing(t, ihave("a")))), "forgotten")
}

// All else that an RPC holds goes through as it was.
func TestTrimmingLeavesTheRest(t *testing.T) {
	v, now := newInventory(time.Second), time.Unix(1_700_000_000, 0)
	topic, yes := "topic", true
	full := func(ids ...string) *pb.RPC {
		rpc := ihave(ids...)
		rpc.Subscriptions = []*pb.RPC_SubOpts{{Subscribe: &yes, Topicid: &topic}}
		rpc.Publish = []*pb.Message{{Data: []byte("data"), Topic: &topic}}
		rpc.Control.Graft = []*pb.ControlGraft{{TopicID: &topic}}
		rpc.Control.Iwant = []*pb.ControlIWant{{MessageIDs: []string{"wanted"}}}
		return rpc
	}
	v.arrived(now, "p", "a")
	before := announcing(t, full("a", "b"))
	require.Equal(t, before, v.trim(now, "p", before))
	after, want := v.trim(now, "p", before), full("b")
	require.Equal(t, announcing(t, want), after)
	want.Control.Ihave = nil
	v.heard("p", "b")
	require.Equal(t, announcing(t, want), v.trim(now, "p", before))

	silent := announcing(t, want)
	require.Same(t, &silent[0], &v.trim(now, "p", silent)[0], "not even copied")
	require.Equal(t, before, (*inventory)(nil).trim(now, "p", before))
}

// Against the plain rule: an id is left out if and only if the peer told us of it, and we it,
// of a message that is remembered. What is not remembered is never left out.
func TestInventoryAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, now := newInventory(time.Second), time.Unix(1_700_000_000, 0)
		type pair struct {
			p  peer.ID
			id string
		}
		theirs, ours := make(map[pair]bool), make(map[pair]bool)
		begun := make(map[string]time.Time)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "ms")) * time.Millisecond)
			p, id := peer.ID(fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "peer"))), fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "id"))
			at := pair{p, id}
			since, known := begun[id]
			surely := known && now.Sub(since) < time.Second
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				v.arrived(now, p, id)
				theirs[at] = true
				if !known {
					begun[id] = now
				}
			case 1:
				v.heard(p, id)
				if known {
					theirs[at] = true
				}
			default:
				got := announcedIn(t, v.trim(now, p, announcing(t, ihave(id))))
				if surely {
					require.Equal(t, !(theirs[at] && ours[at]), len(got) == 1)
				}
				if len(got) == 0 {
					require.True(t, theirs[at] && ours[at])
				}
				ours[at] = true
				if !known {
					begun[id] = now
				}
			}
		}
	})
}

func TestInventoryIsBounded(t *testing.T) {
	v, now := newInventory(time.Second), time.Unix(1_700_000_000, 0)
	for n := range 3 * inventoryMessages {
		v.arrived(now, "p", fmt.Sprint(n))
	}
	require.Len(t, v.latest[0], inventoryMessages)
	over := announcing(t, ihave(fmt.Sprint(3*inventoryMessages-1)))
	for range 2 {
		require.Equal(t, over, v.trim(now, "p", over), "announced as ever")
	}
	for n := range 3 * inventoryPeers {
		v.heard(peer.ID(fmt.Sprint(n)), "0")
	}
	require.Len(t, v.latest[0]["0"].theirs, inventoryPeers)
	require.True(t, slices.Contains(v.latest[0]["0"].theirs, "p"))
	v.arrived(now.Add(time.Second), "p", "later")
	v.arrived(now.Add(2*time.Second), "p", "later still")
	require.Len(t, v.latest[1], 1)
}
