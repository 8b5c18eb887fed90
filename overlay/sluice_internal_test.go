package overlay

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// someParcel is a message whose first byte tells it from others.
func someParcel(n byte, class int) parcel { return parcel{bytes.Repeat([]byte{n}, 10), class} }

// fetched is all that was let through of p.
func fetched(s *sluice, p peer.ID) []parcel {
	out, _ := s.fetch(p, 1<<20)
	return out
}

func newTestSluice(limit, queued int) (*sluice, map[peer.ID]int) {
	shed := make(map[peer.ID]int)
	return newSluice(limit, fairBounds{peerMessages: queued, peerBytes: 1 << 20, allBytes: 1 << 20},
		func(p peer.ID, n int) { shed[p] += n }), shed
}

// R41: what is under way is bounded, and one peer cannot have all of it.
func TestSluiceLetsThroughInTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, shed := newTestSluice(4, 100)
		s.enter("flood")
		s.enter("other")
		for i := range byte(50) {
			require.NoError(t, s.put(t.Context(), "flood", someParcel(i, 1)))
		}
		require.Len(t, fetched(s, "flood"), 2, "half of the room")
		require.NoError(t, s.put(t.Context(), "other", someParcel(1, 0)))
		require.Len(t, fetched(s, "other"), 1, "does not wait for the flood")
		s.end("flood")
		require.Len(t, fetched(s, "flood"), 1)
		require.Empty(t, fetched(s, "flood"))
		require.Empty(t, shed)

		s.leave("flood")
		require.Equal(t, 1, s.underWay)
		require.ErrorIs(t, s.put(t.Context(), "flood", someParcel(1, 1)), errGone)
		s.end("flood") // late
		s.leave("other")
		require.Zero(t, s.underWay)
		require.Empty(t, s.berths)
	})
}

// R42: a full line is read later for a while, then the least valuable are shed and counted.
func TestSluiceWaitsThenShedsTheLeastValuable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, shed := newTestSluice(2, 3)
		s.enter("a")
		for i := range byte(4) { // one is under way, three wait
			require.NoError(t, s.put(t.Context(), "a", someParcel(i, int(i))))
		}
		start := time.Now()
		s.berths["a"].moved = start.Add(time.Hour) // a judge that takes long
		require.NoError(t, s.put(t.Context(), "a", someParcel(4, 9)))
		require.Equal(t, sluicePatience, time.Since(start))
		require.Equal(t, map[peer.ID]int{"a": 1}, shed)
		require.NoError(t, s.put(t.Context(), "a", someParcel(5, 0)))
		require.Equal(t, sluicePatience, time.Since(start), "no more patience until there is room again")
		require.Equal(t, map[peer.ID]int{"a": 2}, shed)

		got := fetched(s, "a")
		for range 3 {
			s.end("a")
			got = append(got, fetched(s, "a")...)
		}
		var order []byte
		for _, m := range got {
			order = append(order, m.raw[0])
		}
		require.Equal(t, []byte{0, 4, 3, 2}, order, "0 was through at once; 1 and 5 paid least")
	})
}

// A burst that pays alike is only read more slowly, however long that takes.
func TestSluiceShedsNothingWhereAllPayAlike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, shed := newTestSluice(2, 3)
		s.enter("a")
		got := 0
		judge := time.NewTicker(100 * time.Millisecond)
		defer judge.Stop()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				<-judge.C
				got += len(fetched(s, "a"))
				s.end("a")
			}
		}()
		for i := range byte(100) {
			require.NoError(t, s.put(t.Context(), "a", someParcel(i, 7)))
		}
		<-done
		require.Equal(t, 100, got)
		require.Empty(t, shed)
	})
}

// R42: however many fill all the room there is, whoever has less than they waits for none of it.
func TestSluiceHasRoomForWhoHoldsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			mu   sync.Mutex // guards shed
			shed = make(map[peer.ID]int)
		)
		s := newSluice(2, fairBounds{peerMessages: 100, peerBytes: 1000, allBytes: 100}, func(p peer.ID, n int) {
			mu.Lock()
			defer mu.Unlock()
			shed[p] += n
		})
		ctx, cancel := context.WithCancel(t.Context())
		var floods sync.WaitGroup
		for _, p := range []peer.ID{"a", "b", "c"} {
			s.enter(p)
			floods.Go(func() {
				for s.put(ctx, p, someParcel(1, 5)) == nil {
				}
			})
		}
		synctest.Wait()
		require.GreaterOrEqual(t, s.queue.bytes, 90)
		s.enter("honest")
		begun := time.Now()
		patient, done := context.WithTimeout(t.Context(), time.Minute)
		defer done()
		require.NoError(t, s.put(patient, "honest", someParcel(2, 0)))
		require.Zero(t, time.Since(begun))
		require.Equal(t, 1, s.queue.waits("honest"))
		require.LessOrEqual(t, s.queue.bytes, 100)
		cancel()
		floods.Wait()
		require.NotEmpty(t, shed, "who holds most lost one")
		require.Zero(t, shed["honest"])
	})
}

func TestSluiceRoomIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, shed := newTestSluice(2, 2)
		s.enter("a")
		for i := range byte(3) {
			require.NoError(t, s.put(t.Context(), "a", someParcel(i, 0)))
		}
		start := time.Now()
		go func() {
			time.Sleep(50 * time.Millisecond)
			s.end("a")
		}()
		require.NoError(t, s.put(t.Context(), "a", someParcel(3, 0)))
		require.Equal(t, 50*time.Millisecond, time.Since(start))
		require.Empty(t, shed)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, s.put(ctx, "a", someParcel(4, 0)), context.DeadlineExceeded)
	})
}

// What pubsub drops without a word must not close the sluice for ever.
func TestSluiceForgetsWhatDoesNotMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newTestSluice(2, 10)
		s.enter("silent")
		s.enter("honest")
		for i := range byte(5) {
			require.NoError(t, s.put(t.Context(), "silent", someParcel(i, 0)))
		}
		require.Len(t, fetched(s, "silent"), 1)
		s.stir()
		require.Empty(t, fetched(s, "silent"), "too soon")
		time.Sleep(sluiceStill + time.Millisecond)
		s.stir()
		require.Len(t, fetched(s, "silent"), 1)
		s.end("silent")
		s.end("silent") // of those that were given up

		// What no stream has fetched was not dropped: its number stays bounded.
		s.leave("silent")
		for i := range byte(8) {
			require.NoError(t, s.put(t.Context(), "honest", someParcel(i, 0)))
		}
		for range 10 {
			time.Sleep(2 * sluiceStill)
			s.stir()
		}
		require.Len(t, s.berths["honest"].through, 1)
	})
}

// What pubsub drops without a word holds nothing up: neither what waits behind it, nor the
// end of its stream.
func TestStreamOutlivesWhatIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s, _ := newTestSluice(1, 10)
		var run sync.WaitGroup
		run.Go(func() { s.run(ctx) })
		defer run.Wait()
		defer cancel()

		bounded := &boundedStream{ctx: ctx, bounds: streamBounds{frame: 1 << 10}}
		stream := newQueuedStream(bounded, "a", "ours", s, newOutflow(10), nil)
		for i := range byte(3) {
			require.NoError(t, s.put(ctx, "a", someParcel(i, 0)))
		}
		stream.err = io.EOF
		close(stream.ended)
		begun := time.Now()
		got, err := io.ReadAll(stream)
		require.NoError(t, err)
		for i := range byte(3) {
			require.Contains(t, string(got), string(someParcel(i, 0).raw))
		}
		require.LessOrEqual(t, time.Since(begun), 5*sluiceStill)
	})
}

// What pubsub is given at once is no larger than what it takes.
func TestSluiceFillsNoMoreThanAFrame(t *testing.T) {
	s, _ := newTestSluice(20, 20)
	s.enter("a")
	for i := range byte(10) {
		require.NoError(t, s.put(t.Context(), "a", parcel{bytes.Repeat([]byte{i}, 100), 0}))
	}
	count := 0
	for more := true; more; {
		var got []parcel
		got, more = s.fetch("a", 350)
		require.LessOrEqual(t, len(joinRPC(got)), 350)
		require.NotEmpty(t, got)
		count += len(got)
	}
	require.Equal(t, 10, count)
	got, more := s.fetch("a", 350)
	require.Empty(t, got)
	require.False(t, more)
}

func TestSplitAndJoinRPC(t *testing.T) {
	rpc := &pb.RPC{
		Subscriptions: []*pb.RPC_SubOpts{{Topicid: proto.String("ours"), Subscribe: proto.Bool(true)}},
		Publish: []*pb.Message{
			{Topic: proto.String("ours"), Data: []byte("one")},
			{Topic: proto.String("theirs"), Data: []byte("other")},
			{Topic: proto.String("ours"), Data: []byte("two")},
			{Data: []byte("none")},
		},
		Control: &pb.ControlMessage{Ihave: []*pb.ControlIHave{{TopicID: proto.String("ours")}, {TopicID: proto.String("ours")}}},
	}
	raw, err := proto.Marshal(rpc)
	require.NoError(t, err)
	rest, messages, others := splitRPC(raw, "ours", newNames(0))
	require.Equal(t, elements{units: 2 + 1 + 1 + 2, subscriptions: 1}, others,
		"messages of other topics, a subscription, the control message and its entries")
	var got, joined pb.RPC
	require.NoError(t, proto.Unmarshal(rest, &got))
	require.Empty(t, got.GetPublish())
	require.True(t, proto.Equal(rpc.GetControl(), got.GetControl()))
	require.Len(t, got.GetSubscriptions(), 1)
	require.NoError(t, proto.Unmarshal(joinRPC(messages), &joined))
	require.Len(t, joined.GetPublish(), 2)
	require.Equal(t, []byte("two"), joined.GetPublish()[1].GetData())
}

// Whatever prescan lets through is split without loss of what is not a message.
func FuzzSplitRPC(f *testing.F) {
	raw, _ := proto.Marshal(&pb.RPC{
		Subscriptions: []*pb.RPC_SubOpts{{Topicid: proto.String("t")}},
		Publish:       []*pb.Message{{Topic: proto.String("t"), Data: []byte("x")}},
		Control:       &pb.ControlMessage{Graft: []*pb.ControlGraft{{TopicID: proto.String("t")}}},
	})
	f.Add(raw)
	f.Fuzz(func(t *testing.T, rpc []byte) {
		if prescan(rpc, scanLimits{100, 100, 100, 100, 100, 100}) != nil {
			return
		}
		var want, rest, joined pb.RPC
		if proto.Unmarshal(rpc, &want) != nil {
			return
		}
		kept, messages, _ := splitRPC(rpc, "t", newNames(0))
		if len(kept) > len(rpc) {
			t.Fatal("it grew")
		}
		require.NoError(t, proto.Unmarshal(kept, &rest))
		require.NoError(t, proto.Unmarshal(joinRPC(messages), &joined))
		var published []*pb.Message
		for _, m := range want.GetPublish() {
			if m.GetTopic() == "t" {
				published = append(published, m)
			}
		}
		require.Len(t, joined.GetPublish(), len(published))
		for i, m := range joined.GetPublish() {
			require.True(t, proto.Equal(published[i], m))
		}
		want.Publish = nil
		require.True(t, proto.Equal(&want, &rest))
	})
}
