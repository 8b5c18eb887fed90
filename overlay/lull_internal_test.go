package overlay

import (
	"bytes"
	"context"
	"encoding/binary"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/grapevine-p2p/grapevine/wire"
)

// held is how long transactions to a peer wait for their turn now.
func (l *lane) held(ctx context.Context, p peer.ID) time.Duration {
	began := time.Now()
	l.txs(ctx, p)
	return time.Since(began)
}

// R102: from the first bytes of a header until it is passed on, transactions wait for it where
// they wait for the line anyway.
func TestLullIsFromTheFirstBytesToTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, ctx := newLane(func(p peer.ID) bool { return p == "full" }), t.Context()
		begun := time.Now()
		done := l.lull.hear("first")
		passed := make(chan time.Duration, 2)
		go func() {
			l.held(ctx, "full")
			passed <- time.Since(begun)
		}()
		go func() {
			_, err := l.beside(ctx, new(bytes.Buffer)).Write([]byte("asked for"))
			require.NoError(t, err)
			passed <- time.Since(begun)
		}()
		require.Zero(t, l.held(ctx, "free"), "a line that is not full carries both")
		time.Sleep(60 * time.Millisecond)
		copied := l.lull.hear("second") // another copy of the header, which comes in for long
		done()
		release := l.hold() // the header is being passed on
		require.Equal(t, txPatience, l.held(ctx, "free"))
		time.Sleep(40 * time.Millisecond)
		require.Empty(t, passed)
		release()
		for range 2 {
			require.Equal(t, 60*time.Millisecond+txPatience+40*time.Millisecond+publishing, <-passed)
		}
		require.Zero(t, l.held(ctx, "full"), "the rest of the copy needs no lull")
		copied()
		time.Sleep(time.Minute) // for the timers
	})
}

// R102: a header that turns out to be known, or none, ends its lull.
func TestLullForNothingIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLane(func(peer.ID) bool { return true })
		l.lull.hear("near")()
		require.Equal(t, lullJudging, l.held(t.Context(), "full"))
		stopped, cancel := context.WithCancel(t.Context())
		time.Sleep(time.Minute)
		l.lull.hear("near")
		cancel()
		require.Zero(t, l.held(stopped, "full"))
	})
}

// R102: whoever sends headers, or what looks like them, and however slowly, transactions are
// held for a quarter of a second each time and a sixth of the time in all.
func TestLullsAreShortAndRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, ctx := newLane(func(peer.ID) bool { return true }), t.Context()
		done := l.lull.hear("near")
		require.Equal(t, lullTime, l.held(ctx, "full"))
		require.Zero(t, l.held(ctx, "full"), "its header still comes, but it is over")
		done()
		time.Sleep(lullJudging)

		begun, waited := time.Now(), time.Duration(0)
		for i := 0; time.Since(begun) < time.Minute; i++ {
			done := l.lull.hear(peer.ID(strconv.Itoa(i)))
			waited += l.held(ctx, "full")
			done()
			time.Sleep(lullJudging + time.Millisecond)
		}
		require.Greater(t, waited, 3*time.Second, "honest headers get their lulls all the same")
		require.LessOrEqual(t, waited, time.Since(begun)/(1+lullRest)+lullTime)
	})
}

// R117: who begins a frame and takes its time over it takes away one lull, and none of the next
// minute; and its frame keeps up no other.
func TestLullIsNotSpentByWhoTrickles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, ctx := newLane(func(peer.ID) bool { return true }), t.Context()
		trickled := l.lull.hear("trickles")
		time.Sleep(lullTime + lullRest*lullTime)
		honest := l.lull.hear("honest")
		honest()
		require.Equal(t, lullJudging, l.held(ctx, "full"))

		time.Sleep(slowBar - lullTime - lullRest*lullTime - lullJudging)
		l.lull.hear("trickles")
		require.Zero(t, l.held(ctx, "full"))
		time.Sleep(lullTime)
		l.lull.hear("trickles")
		require.Equal(t, lullTime, l.held(ctx, "full"), "it is forgotten after a minute")
		trickled()
		time.Sleep(time.Minute) // for the timers
	})
}

// R117: who sends what is not passed on begins lulls a second apart, and takes none from who
// sends what is.
func TestLullIsNotSpentByWhoSendsNothingNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, ctx := newLane(func(peer.ID) bool { return true }), t.Context()
		begun, lulls := time.Now(), 0
		for time.Since(begun) < time.Minute {
			l.lull.hear("repeats")()
			if l.held(ctx, "full") > 0 {
				lulls++
			}
			time.Sleep(lullJudging)
		}
		require.InDelta(t, time.Minute/idleBar, lulls, 2)

		time.Sleep(idleBar)
		l.lull.hear("repeats")()
		require.Equal(t, lullJudging, l.held(ctx, "full"))
		release := l.hold() // a header is passed on so soon after
		time.AfterFunc(txPatience, release)
		require.Equal(t, txPatience+publishing, l.held(ctx, "full"))
	})
}

// R117: a peer that brings what is passed on begins a lull with each block.
func TestLullOfWhoBringsBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, ctx := newLane(func(peer.ID) bool { return true }), t.Context()
		for range 10 {
			done := l.lull.hear("brings")
			began := time.Now()
			time.AfterFunc(60*time.Millisecond, func() {
				done()
				l.hold()()
			})
			l.held(ctx, "full")
			require.Equal(t, 60*time.Millisecond+publishing, time.Since(began))
			time.Sleep(time.Second)
		}
	})
}

// R117: peers that begin no lull are remembered within bounds.
func TestBarredAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lull
		for i := range 2 * maxBarred {
			l.barLocked(peer.ID(strconv.Itoa(i)), slowBar)
		}
		require.Len(t, l.barred, maxBarred)
		time.Sleep(slowBar)
		l.barLocked("new", slowBar)
		require.Len(t, l.barred, 1)
	})
}

// carrying is an RPC of one message, or of some announcements where there is none.
func carrying(t *testing.T, data []byte) []byte {
	rpc, topic := new(pb.RPC), "blocks"
	if data != nil {
		rpc.Publish = []*pb.Message{{Data: data, Topic: &topic}}
	} else {
		rpc.Control = &pb.ControlMessage{Ihave: []*pb.ControlIHave{{TopicID: &topic, MessageIDs: []string{strings.Repeat("i", 2000)}}}}
	}
	raw, err := proto.Marshal(rpc)
	require.NoError(t, err)
	return raw
}

// someBlock is a block in the form of the topic, of no transactions.
func someBlock() []byte {
	body := &wire.HeaderBody{Height: 1, Slot: 1, Salt: wire.Salt{1}}
	return wire.Compact(&wire.Block{Header: wire.NewHeader(body, wire.Signature{})}).AppendTo(nil)
}

// R135: a block is told by what it is, however small, on the way in and on the way out.
func TestBlocksAreToldByWhatTheyAre(t *testing.T) {
	small := carrying(t, someBlock())
	require.Less(t, len(someBlock()), 300)
	evidence := &wire.Evidence{First: wire.NewHeader(&wire.HeaderBody{Slot: 1}, wire.Signature{1}), Second: wire.NewHeader(&wire.HeaderBody{Slot: 1}, wire.Signature{2})}
	require.True(t, beginsBlock(small))
	require.True(t, beginsBlock(small[:frameHead]), "the first bytes say it")
	large := carrying(t, append(someBlock(), make([]byte, 1<<20)...))
	require.True(t, beginsBlock(large[:frameHead]))
	require.False(t, beginsBlock(carrying(t, evidence.AppendTo(nil))[:frameHead]))
	require.False(t, beginsBlock(carrying(t, nil)), "control, however much")
	for _, rubbish := range [][]byte{nil, {rpcPublish<<3 | 2}, {rpcPublish<<3 | 2, 0}, {rpcPublish << 3, 1}, bytes.Repeat([]byte{0xff}, frameHead)} {
		require.False(t, beginsBlock(rubbish), "%x", rubbish)
	}

	synctest.Test(t, func(t *testing.T) {
		l, mesh := newLane(func(peer.ID) bool { return false }), newLinks()
		mesh.set("near", true)
		write := l.writeHeaders(mesh)
		for _, c := range []struct {
			rpc   []byte
			holds time.Duration
		}{{small, txPatience}, {carrying(t, nil), 0}} {
			frame := append(binary.AppendUvarint(nil, uint64(len(c.rpc))), c.rpc...) // as the router writes it
			go func() { _, _ = write(t.Context(), slowStream{}, "near", frame) }()
			synctest.Wait()
			require.Equal(t, c.holds, l.held(t.Context(), "near"))
			time.Sleep(time.Second)
		}
	})
}

// slowStream takes its time.
type slowStream struct {
	network.Stream // nil
}

func (slowStream) Write(b []byte) (int, error) {
	time.Sleep(100 * time.Millisecond)
	return len(b), nil
}

// R102: only a header, and only from the mesh, begins a lull.
func TestLullsAreForHeadersFromTheMesh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, mesh := newLane(func(peer.ID) bool { return true }), newLinks()
		mesh.set("near", true)
		hear := l.hearHeaders(mesh)
		header := carrying(t, someBlock())[:frameHead]
		hear("near", carrying(t, nil)[:frameHead])()
		hear("far", header)()
		require.Zero(t, l.held(t.Context(), "full"))
		hear("near", header)()
		require.Equal(t, lullJudging, l.held(t.Context(), "full"))
	})
}

// R102: a producer makes room for its own block, even soon after that of another.
func TestLullBeforeAnOwnBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, ctx := newLane(func(peer.ID) bool { return true }), t.Context()
		release := l.hold()
		time.AfterFunc(lullJudging, release)
		require.Equal(t, lullJudging+publishing, l.held(ctx, "full"))
		l.lull.hear("near")()
		require.Zero(t, l.held(ctx, "full"), "a second header so soon finds no lull")
		time.Sleep(ownRest * (lullJudging + publishing))
		l.lull.expect()
		time.AfterFunc(BlockLead, func() {
			release := l.hold()
			time.AfterFunc(30*time.Millisecond, release)
		})
		require.Equal(t, BlockLead+30*time.Millisecond+publishing, l.held(ctx, "full"))
		time.Sleep(time.Minute)

		l.lull.expect() // and nothing comes of it
		require.Equal(t, BlockLead+lullJudging, l.held(ctx, "full"))
	})
}
