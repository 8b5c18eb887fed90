package overlay_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/overlay/recon"
	"github.com/grapevine-p2p/grapevine/wire"
)

// R166: a few peers that begin requests and never finish them take no place from one that asks
// for little.
func TestUnfinishedRequestsKeepNobodyOut(t *testing.T) {
	g, c := testGenesis("places"), newClock()
	limits := overlay.DefaultLimits()
	tx := transfer(g, "wallet 0", 0)
	id := tx.ID()
	for name, test := range map[string]struct {
		id        protocol.ID
		peers, of int // more streams than there are places
		places    int
		ask       []byte
	}{
		"sync":  {overlay.SyncProtocol(g.ID()), 7, 5, limits.ServeSync, (&wire.SyncRequest{ID: 1, FromHeight: 1, Count: 5}).AppendTo(nil)},
		"fetch": {overlay.FetchProtocol(g.ID()), 9, 8, limits.ServeFetch, announcement(id[:])[1:]},
	} {
		t.Run(name, func(t *testing.T) {
			n, ns := startSource(t, g, c)
			n.grow(5, "", 0)
			ns.pooling(n, tx)
			honest := greetedHost(t, n)
			for range test.peers {
				h := greetedHost(t, n)
				for range test.of {
					s, err := h.NewStream(t.Context(), n.host.ID(), test.id)
					require.NoError(t, err)
					_, err = s.Write([]byte{0x40}) // a length, and no more
					require.NoError(t, err)
				}
			}
			eventually(t, func() bool { return overlay.Serving(n.Overlay, test.id) == test.places }, "all places are taken")
			for range 5 {
				_, err := request(t, honest, n.host.ID(), test.id, test.ask)
				require.NoError(t, err)
				time.Sleep(100 * time.Millisecond)
			}
			require.Zero(t, n.seen.blamed())
		})
	}
}

// R118: a few peers that ask for whole blocks and do not read them keep nobody from asking for one.
func TestUnreadBlocksKeepNobodyOut(t *testing.T) {
	g, c := testGenesis("unread"), newClock()
	n := start(t, g, c)
	var txs []*wire.Transaction
	for i := range uint64(16) {
		txs = append(txs, transfer(g, "wallet 0", i, func(b *wire.TxBody) { b.Payload, b.Fee = make([]byte, 60<<10), 100_000 }))
	}
	block := seal(g, n.chain.Head(), 1, txs)
	n.add(block)
	id := overlay.CompactProtocol(g.ID())
	ask := (&wire.CompactRequest{ID: 1, Block: block.ID(), Whole: true}).AppendTo(nil)
	honest := greetedHost(t, n)
	var unread []network.Stream
	for range 7 {
		h := greetedHost(t, n)
		for range 6 {
			s, err := h.NewStream(t.Context(), n.host.ID(), id)
			require.NoError(t, err)
			_, err = s.Write(append(binary.AppendUvarint(nil, uint64(len(ask))), ask...))
			require.NoError(t, err)
			unread = append(unread, s)
		}
	}
	places := overlay.DefaultLimits().ServeCompact
	eventually(t, func() bool { return overlay.Serving(n.Overlay, id) == places }, "all places are taken")
	for range 5 {
		raw, err := request(t, honest, n.host.ID(), id, ask)
		require.NoError(t, err)
		a, err := wire.DecodeCompactAnswer(raw)
		require.NoError(t, err)
		require.Equal(t, block.AppendTo(nil), a.Block)
	}
	var lost []network.StreamErrorCode
	for _, s := range unread {
		var reset *network.StreamError
		if _, err := io.Copy(io.Discard, s); errors.As(err, &reset) {
			lost = append(lost, reset.ErrorCode)
		}
	}
	require.Contains(t, lost, network.StreamErrorCode(network.StreamResourceLimitExceeded), "who loses its place is told that we are busy")
	require.Zero(t, n.seen.blamed())
}

// R166: peers that dialled us and hold one place each, all of them, do not keep out those that are
// ours. Who loses its place is told that we are busy, is not blamed, and may come again.
func TestStrangersKeepOutNobodyOfOurs(t *testing.T) {
	g, c := testGenesis("strangers"), newClock()
	const places = 4
	few := func(cfg *overlay.Config) { cfg.Limits.ServeRecon = places }
	a, as := startSource(t, g, c, few)
	b, _ := startSource(t, g, c, few)
	id := overlay.ReconProtocol(g.ID())
	began := func(h host.Host, n *node) *bufio.Reader {
		s, err := h.NewStream(t.Context(), n.host.ID(), id)
		require.NoError(t, err)
		_ = s.SetDeadline(time.Now().Add(patience))
		_, _ = s.Write(frame(recon.Encode(nil, recon.Greeting{})))
		in := bufio.NewReader(s)
		_, err = readRaw(in)
		require.NoError(t, err)
		return in
	}
	var strangers []host.Host
	var first *bufio.Reader
	for range places {
		h := newHost(t)
		strangers = append(strangers, h)
		for _, n := range []*node{a, b} {
			greet(t, h, n)
			if in := began(h, n); first == nil && n == b {
				first = in
			}
		}
	}
	require.Equal(t, places, overlay.Serving(b.Overlay, id))

	as.pooling(a, transfers(g, "wallet 0", 40)...)
	a.join(b)
	eventually(t, func() bool { return b.chain.pooled() == 40 }, "repaired")
	_, err := readRaw(first)
	var reset *network.StreamError
	require.ErrorAs(t, err, &reset)
	require.True(t, reset.Remote)
	require.Equal(t, network.StreamResourceLimitExceeded, reset.ErrorCode)
	a.stop()
	b.Disconnect(a.host.ID())
	eventually(t, func() bool { return !b.knows(a.host.ID()) && overlay.Serving(b.Overlay, id) == places-1 }, "a free place")
	began(strangers[0], b)
	require.Zero(t, a.seen.blamed())
	require.Zero(t, b.seen.blamed())
}
