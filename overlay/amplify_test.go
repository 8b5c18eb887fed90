package overlay_test

import (
	"bufio"
	"bytes"
	"io"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// R4, R35, R39: a request of a few kilobytes cannot ask for one transaction many times.
func TestCompactRequestDoesNotAmplify(t *testing.T) {
	g, c := testGenesis("amplify"), newClock()
	n := start(t, g, c)
	tx := transfer(g, "wallet 0", 0, func(b *wire.TxBody) {
		b.Payload, b.Fee = bytes.Repeat([]byte{1}, 120<<10), 1<<20
	})
	b := seal(g, n.chain.Head(), 1, []*wire.Transaction{tx})
	n.add(b)
	h := greetedHost(t, n)
	id := b.ID()
	q := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), id[:])
	q = protowire.AppendBytes(protowire.AppendTag(q, 3, protowire.BytesType), make([]byte, 4_000)) // index 0, time and again
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	poke(t, h, n, overlay.CompactProtocol(g.ID()), frame(q))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20))
	require.Equal(t, []peerscore.Offence{peerscore.BadFrame}, n.seen.offencesOf(h.ID()))
}

// R39: what a peer is served beyond its budget of bytes comes more slowly, and is no
// offence: its requests were within their own budget.
func TestServedBytesHaveABudget(t *testing.T) {
	g, c := testGenesis("uplink"), newClock()
	const size, budget = 120 << 10, wire.MaxBlock
	n := start(t, g, c, func(c *overlay.Config) {
		c.Limits.ServedBurst, c.Limits.ServedPerSecond = budget, 1
		c.Limits.CompactTime, c.Limits.CompactPatience = 200*time.Millisecond, 200*time.Millisecond
		c.Limits.SyncTime = time.Second
	})
	tx := transfer(g, "wallet 0", 0, func(b *wire.TxBody) { b.Payload, b.Fee = make([]byte, size), 1<<20 })
	b := seal(g, n.chain.Head(), 1, []*wire.Transaction{tx})
	n.add(b)
	h := greetedHost(t, n)
	q := &wire.CompactRequest{ID: 1, Block: b.ID(), Indexes: []uint32{0}}
	served := 0
	for range 50 {
		if _, err := request(t, h, n.host.ID(), overlay.CompactProtocol(g.ID()), q.AppendTo(nil)); err != nil {
			break
		}
		served++
	}
	require.InDelta(t, budget/size, served, 1)
	// Sync draws on the same budget: it says where its chain ends, and gives nothing.
	raw, err := request(t, h, n.host.ID(), overlay.SyncProtocol(g.ID()), (&wire.SyncRequest{ID: 1, FromHeight: 1, Count: 1}).AppendTo(nil))
	require.NoError(t, err)
	a, err := wire.DecodeSyncAnswer(raw)
	require.NoError(t, err)
	require.EqualValues(t, wire.StatusEnd, a.Status)
	require.Empty(t, n.seen.offencesOf(h.ID()))
	// Another peer has its own.
	_, err = request(t, greetedHost(t, n), n.host.ID(), overlay.CompactProtocol(g.ID()), q.AppendTo(nil))
	require.NoError(t, err)
}

// unsettled is a connected host that speaks hello and never says it.
func unsettled(t *testing.T, n *node) host.Host {
	t.Helper()
	h := newHost(t)
	h.SetStreamHandler(overlay.HelloProtocol, func(s network.Stream) { _ = s.Reset() })
	require.NoError(t, h.Connect(t.Context(), n.addr()))
	return h
}

// crowd opens streams of a protocol that ask for nothing. It returns how many were
// ended by the other side.
func crowd(t *testing.T, h host.Host, n *node, id protocol.ID, count int) (ended func() int) {
	t.Helper()
	gone := make(chan struct{}, count)
	for range count {
		s, err := h.NewStream(t.Context(), n.host.ID(), id)
		if err != nil { // the whole connection was cut
			gone <- struct{}{}
			continue
		}
		_, _ = s.Write([]byte{1})
		t.Cleanup(func() { _ = s.Reset() })
		go func() {
			_, _ = io.Copy(io.Discard, bufio.NewReader(s))
			gone <- struct{}{}
		}()
	}
	return func() int { return len(gone) }
}

// R39: who is not greeted holds no place, and only a few streams.
func TestUnsettledPeersTakeNoPlaces(t *testing.T) {
	g, c := testGenesis("places"), newClock()
	n := start(t, g, c)
	last := n.grow(5, "", 0)
	l := overlay.DefaultLimits()
	mute := unsettled(t, n)
	for _, id := range []protocol.ID{overlay.SyncProtocol(g.ID()), overlay.CompactProtocol(g.ID())} {
		count := l.RequestsBurst
		ended := crowd(t, mute, n, id, count)
		want := count
		if id == overlay.SyncProtocol(g.ID()) {
			want -= l.WaitingRequests // they wait, over all protocols
		}
		eventually(t, func() bool { return ended() == want }, "all but a few are turned away")
	}
	eventually(t, func() bool {
		return slices.Contains(n.seen.offencesOf(mute.ID()), peerscore.BudgetBreach)
	}, "a crowd is a breach")

	h := greetedHost(t, n)
	_, err := request(t, h, n.host.ID(), overlay.SyncProtocol(g.ID()), (&wire.SyncRequest{FromHeight: 1, Count: 5}).AppendTo(nil))
	require.NoError(t, err, "served at once")
	_, err = request(t, h, n.host.ID(), overlay.CompactProtocol(g.ID()), (&wire.CompactRequest{Block: last.ID(), Whole: true}).AppendTo(nil))
	require.NoError(t, err, "served at once")
}
