package overlay_test

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/grapevine-p2p/grapevine/overlay"
)

// controlFloods make one frame each of what an attacker sends without end.
var controlFloods = []struct {
	name string
	make func(t *testing.T, topic string) []byte
}{
	{"announcements", func(t *testing.T, topic string) []byte {
		return controlFrame(t, &pb.ControlMessage{Ihave: []*pb.ControlIHave{{TopicID: &topic, MessageIDs: madeUp(5000)}}})
	}},
	{"wishes", func(t *testing.T, _ string) []byte {
		return controlFrame(t, &pb.ControlMessage{Iwant: []*pb.ControlIWant{{MessageIDs: madeUp(5000)}}})
	}},
	{"refusals", func(t *testing.T, _ string) []byte {
		return controlFrame(t, &pb.ControlMessage{Idontwant: []*pb.ControlIDontWant{{MessageIDs: madeUp(5000)}}})
	}},
	{"grafts", func(t *testing.T, topic string) []byte {
		return controlFrame(t, &pb.ControlMessage{Graft: []*pb.ControlGraft{{TopicID: &topic}}})
	}},
	{"prunes", func(t *testing.T, topic string) []byte {
		backoff := uint64(1 << 60)
		return controlFrame(t, &pb.ControlMessage{Prune: []*pb.ControlPrune{{TopicID: &topic, Backoff: &backoff}}})
	}},
	{"subscriptions", func(t *testing.T, _ string) []byte {
		rpc := new(pb.RPC)
		for i := range 60 {
			rpc.Subscriptions = append(rpc.Subscriptions, &pb.RPC_SubOpts{
				Topicid: proto.String(fmt.Sprintf("%04000d", i)), Subscribe: proto.Bool(true),
			})
		}
		raw, err := proto.Marshal(rpc)
		require.NoError(t, err)
		return frame(raw)
	}},
	{"empty elements", func(*testing.T, string) []byte { return frame(bytes.Repeat([]byte{0x12, 0x00}, 128<<10)) }},
}

func controlFrame(t *testing.T, c *pb.ControlMessage) []byte {
	t.Helper()
	raw, err := proto.Marshal(&pb.RPC{Control: c})
	require.NoError(t, err)
	return frame(raw)
}

func madeUp(count int) []string {
	ids := make([]string, count)
	for i := range ids {
		ids[i] = fmt.Sprintf("%020d", i)
	}
	return ids
}

// A hundred peers that flood at once, with all sorts of control, are cut in seconds, cost
// little memory, and nobody else a transaction.
//
// R86: floods of control are cut.
func TestCrowdOfFloodersIsCut(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a hundred hosts")
	}
	const crowd, rate = 100, 20
	g, c := testGenesis("crowd"), newClock()
	n, honest := start(t, g, c), start(t, g, c)
	honest.join(n)
	meshed(t, n, honest)
	var flooders []*puppet
	for range crowd {
		flooders = append(flooders, newPuppet(t, n))
	}
	took := func(from, count int) (times []time.Duration) {
		for i := from; i < from+count; i++ {
			tx := transfer(g, fmt.Sprint("wallet ", i%8), uint64(i/8))
			began := time.Now()
			honest.submit(tx)
			eventually(t, func() bool { return n.chain.has(tx.ID()) }, "transaction %d arrives: %s", i, n.tally())
			times = append(times, time.Since(began))
			time.Sleep(20 * time.Millisecond)
		}
		slices.Sort(times)
		return times
	}
	// More than a node has places for inbound peers are let go before they do anything.
	eventually(t, func() bool { return len(n.Peers()) >= 60 }, "most are peers")
	require.True(t, n.knows(honest.host.ID()), "who was there first has its place")
	quiet := took(0, 64)
	before := liveHeap()

	var frames [][]byte // the same for all of a sort: to make them must not be what takes time
	for _, kind := range controlFloods {
		frames = append(frames, kind.make(t, overlay.TxTopic(g.ID())))
	}
	began := time.Now()
	var last atomic.Int64
	var work sync.WaitGroup
	for i, p := range flooders {
		work.Go(func() {
			tick := time.NewTicker(time.Second / rate)
			defer tick.Stop()
			for connected(n.host, p) && time.Since(began) < patience {
				if _, err := p.out.Write(frames[i%len(frames)]); err != nil { // its stream was reset: another one
					if s, err := p.NewStream(network.WithNoDial(t.Context(), "who is cut does not come back"), n.host.ID(), meshTx); err == nil {
						p.out = s
					}
				}
				<-tick.C
			}
			last.Store(max(last.Load(), int64(time.Since(began))))
		})
	}
	var most int64
	done := make(chan struct{})
	go func() {
		work.Wait()
		close(done)
	}()
	during := took(64, 64)
	for over := false; !over; {
		most = max(most, liveHeap()-before)
		select {
		case <-done:
			over = true
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Logf("the last was cut after %v; %d KiB of memory at most, both ends; transactions took %v at the median and %v at worst, %v and %v before",
		time.Duration(last.Load()), most>>10, during[32], during[63], quiet[32], quiet[63])
	for i, p := range flooders {
		require.False(t, connected(n.host, p), "%s are not cut", controlFloods[i%len(controlFloods)].name)
	}
	require.Less(t, most, int64(64<<20))
	require.False(t, n.Banned(honest.host.ID()))
	require.Empty(t, n.seen.offencesOf(honest.host.ID()))
	eventually(t, func() bool { return liveHeap()-before < 8<<20 }, "little is left")
}
