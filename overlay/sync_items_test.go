package overlay_test

import (
	"bufio"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// An answer that nobody asked for finds nobody: what comes on a stream of the peer's own is
// read as a request, and is none.
func TestS1UnsolicitedAnswer(t *testing.T) {
	g, c := testGenesis("S1"), newClock()
	n := start(t, g, c)
	n.grow(3, "", 0)
	h := greetedHost(t, n)
	id, _ := n.chain.BlockAt(2)
	b, _ := n.chain.Block(id)
	answer := (&wire.SyncAnswer{ID: 1, Block: b.AppendTo(nil)}).AppendTo(nil)
	_, err := request(t, h, n.host.ID(), overlay.SyncProtocol(g.ID()), answer)
	require.Error(t, err)
	eventually(t, func() bool { return len(n.seen.offencesOf(h.ID())) > 0 }, "offence")
	require.Equal(t, peerscore.BadFrame, n.seen.offencesOf(h.ID())[0])
	require.EqualValues(t, 3, n.chain.Head().Height)
}

// A peer that has the chain and gives it byte by byte is left for another, however often a
// byte comes.
func TestS4ByteByByte(t *testing.T) {
	g, c := testGenesis("S4"), newClock()
	honest := start(t, g, c)
	last := honest.grow(20, "wallet 0", 0)
	n := start(t, g, c, func(c *overlay.Config) { c.Limits.SyncRefresh = time.Hour })
	h := newHost(t)
	speakHello(h, &wire.Hello{Network: g.ID(), Protocol: overlay.ProtocolVersion, Height: 20, Head: last.ID()})
	gives := giving(honest.chain, 0)
	dripping := make(chan struct{}, 16)
	h.SetStreamHandler(overlay.SyncProtocol(g.ID()), func(s network.Stream) {
		defer s.Close()
		raw, err := readRaw(bufio.NewReader(s))
		if err != nil {
			return
		}
		q, err := wire.DecodeSyncRequest(raw)
		if err != nil {
			return
		}
		gives(q, func(a *wire.SyncAnswer) {
			b := a.AppendTo(nil)
			frame := append(binary.AppendUvarint(nil, uint64(len(b))), b...)
			if q.Headers {
				_, _ = s.Write(frame)
				return
			}
			for i := range frame {
				if _, err := s.Write(frame[i : i+1]); err != nil {
					return
				}
				select {
				case dripping <- struct{}{}:
				default:
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	})
	require.NoError(t, n.Connect(t.Context(), peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}))
	<-dripping
	n.join(honest)
	eventually(t, func() bool { return n.chain.Head().ID == last.ID() }, "from the honest")
	require.True(t, n.log.has("gives blocks too slowly"))
	require.Empty(t, n.seen.offencesOf(h.ID()), "slowness proves nothing")
}

// A storm of requests is a breach of its sender's budget; a request for more ids than there
// may be is refused before any is looked at. Others are served meanwhile.
func TestS8RequestStorm(t *testing.T) {
	g, c := testGenesis("S8"), newClock()
	n := start(t, g, c)
	n.grow(5, "", 0)
	greedy := greetedHost(t, n)
	_, err := request(t, greedy, n.host.ID(), overlay.SyncProtocol(g.ID()),
		slices.Repeat(append([]byte{4<<3 | 2, 32}, make([]byte, 32)...), 100))
	require.Error(t, err)
	eventually(t, func() bool { return slices.Contains(n.seen.offencesOf(greedy.ID()), peerscore.BadFrame) }, "too many ids")

	storm, other := greetedHost(t, n), greetedHost(t, n)
	q := (&wire.SyncRequest{ID: 1, FromHeight: 1, Count: 5}).AppendTo(nil)
	const requests, lines = 10_000, 8
	ctx := network.WithNoDial(t.Context(), "who is cut stays away")
	var sent atomic.Int32
	var storming sync.WaitGroup
	for range lines { // as quick as the connection takes them, and nobody waits for answers
		storming.Go(func() {
			for range requests / lines {
				s, err := storm.NewStream(ctx, n.host.ID(), overlay.SyncProtocol(g.ID()))
				if err != nil {
					return
				}
				_, _ = s.Write(frame(q))
				_ = s.Close()
				sent.Add(1)
			}
		})
	}
	eventually(t, func() bool { return sent.Load() > 0 }, "the storm begins")
	_, err = request(t, other, n.host.ID(), overlay.SyncProtocol(g.ID()), q)
	require.NoError(t, err)
	storming.Wait()
	t.Logf("%d requests until it was cut", sent.Load())
	require.Contains(t, n.seen.offencesOf(storm.ID()), peerscore.BudgetBreach)
	_, err = request(t, other, n.host.ID(), overlay.SyncProtocol(g.ID()), q)
	require.NoError(t, err)
	require.Empty(t, n.seen.offencesOf(other.ID()))
}
