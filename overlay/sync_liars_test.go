package overlay_test

import (
	"bufio"
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// liar is a plain host that claims a long chain and answers sync requests as it likes.
func liar(t *testing.T, g *wire.Genesis, height uint64, answer func(q *wire.SyncRequest, send func(*wire.SyncAnswer))) peer.AddrInfo {
	t.Helper()
	h := newHost(t)
	hello := &wire.Hello{Network: g.ID(), Protocol: overlay.ProtocolVersion, Height: height, Head: wire.BlockID{1}}
	speakHello(h, hello)
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
		answer(q, func(a *wire.SyncAnswer) {
			b := a.AppendTo(nil)
			_, _ = s.Write(append(binary.AppendUvarint(nil, uint64(len(b))), b...))
		})
	})
	return peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}
}

func TestLyingPeersAreDroppedForAnother(t *testing.T) {
	g, c := testGenesis("liars"), newClock()
	genesis := ledger.Ref{ID: g.ID().GenesisBlock()}
	first := seal(g, genesis, 2, nil)
	swapped := &wire.Block{Header: first.Header, Txs: []*wire.Transaction{transfer(g, "wallet 0", 0)}}
	forge := func(height uint64) *wire.Block { // as if by the producer, for another network
		h := *first.Header.Body()
		h.Height = height
		return &wire.Block{Header: wire.SignHeader(wire.NetworkID{}, key("producer 0"), &h)}
	}
	for name, test := range map[string]struct {
		claims  uint64 // more than one block ahead is asked for at once
		answer  func(q *wire.SyncRequest, send func(*wire.SyncAnswer))
		offence peerscore.Offence // 0: none can be proven
	}{
		"nothing at the height it claims": {1000, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			send(&wire.SyncAnswer{ID: q.ID, Status: wire.StatusEnd, HeadHeight: 1000, Head: wire.BlockID{1}})
		}, 0},
		"only what it must": {1, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			if q.FromHeight == 1 {
				send(&wire.SyncAnswer{ID: q.ID, Block: first.AppendTo(nil)})
			}
			send(&wire.SyncAnswer{ID: q.ID, Status: wire.StatusEnd, HeadHeight: 1000, Head: wire.BlockID{1}})
		}, 0},
		"answer to another request": {1, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			send(&wire.SyncAnswer{ID: q.ID + 1, Status: wire.StatusEnd})
		}, peerscore.LyingAnswer},
		"another height": {1, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			send(&wire.SyncAnswer{ID: q.ID, Block: seal(g, ledger.Ref{ID: genesis.ID, Height: 6}, 20, nil).AppendTo(nil)})
		}, peerscore.LyingAnswer},
		"not a block": {1, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			send(&wire.SyncAnswer{ID: q.ID, Block: []byte{1, 2, 3}})
		}, peerscore.LyingAnswer},
		"another height than it claims": {1000, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			send(&wire.SyncAnswer{ID: q.ID, Block: first.AppendTo(nil)})
		}, peerscore.LyingAnswer},
		"a header of another network for what it claims": {1000, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			send(&wire.SyncAnswer{ID: q.ID, Block: forge(q.FromHeight).AppendTo(nil)})
		}, peerscore.InvalidHeader},
		"silence about what it claims": {1000, func(*wire.SyncRequest, func(*wire.SyncAnswer)) { time.Sleep(5 * time.Second) }, 0},
		"a header of another network": {1, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			send(&wire.SyncAnswer{ID: q.ID, Block: forge(1).AppendTo(nil)})
			send(&wire.SyncAnswer{ID: q.ID, Status: wire.StatusEnd, HeadHeight: 1000})
		}, peerscore.InvalidHeader},
		"a body that the header does not sign": {1, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			send(&wire.SyncAnswer{ID: q.ID, Block: swapped.AppendTo(nil)})
			send(&wire.SyncAnswer{ID: q.ID, Status: wire.StatusEnd, HeadHeight: 1000})
		}, peerscore.LyingAnswer},
		"more than was asked for": {1, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			for range 1000 {
				send(&wire.SyncAnswer{ID: q.ID, Block: first.AppendTo(nil)})
			}
		}, peerscore.LyingAnswer},
		"silence":     {1, func(*wire.SyncRequest, func(*wire.SyncAnswer)) { time.Sleep(5 * time.Second) }, 0},
		"early close": {1, func(*wire.SyncRequest, func(*wire.SyncAnswer)) {}, 0},
		"busy": {1, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			send(&wire.SyncAnswer{ID: q.ID, Status: wire.StatusBusy})
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			honest := start(t, g, c)
			last := honest.grow(10, "", 0)
			n := start(t, g, c, func(c *overlay.Config) {
				c.Limits.SyncStall = time.Second
				c.Limits.SyncRefresh = time.Hour
			})
			addr := liar(t, g, test.claims, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
				asked.Add(1)
				test.answer(q, send)
			})
			require.NoError(t, n.Connect(t.Context(), addr))
			eventually(t, func() bool { return asked.Load() > 0 }, "the liar is asked first")
			n.join(honest)
			eventually(t, func() bool { return n.chain.Head().ID == last.ID() }, "the honest peer's chain")
			if test.offence == 0 {
				require.Empty(t, n.seen.offencesOf(addr.ID))
				return
			}
			eventually(t, func() bool { return len(n.seen.offencesOf(addr.ID)) > 0 }, "offence")
			require.Equal(t, test.offence, n.seen.offencesOf(addr.ID)[0])
			require.Empty(t, n.seen.offencesOf(honest.host.ID()))
		})
	}
}

// A claim alone makes nobody wait: not who asks for the state of this node, and not its
// producer.
//
// R36: a height counts once a header shows it.
func TestClaimsCountOnceAHeaderProvesThem(t *testing.T) {
	g, c := testGenesis("claims"), newClock()
	n := start(t, g, c, func(c *overlay.Config) { c.Limits.SyncRefresh = time.Hour })
	asked, answer := make(chan struct{}), make(chan struct{})
	for name, height := range map[string]uint64{"could be": 900, "more blocks than slots": 1 << 40} {
		t.Run(name, func(t *testing.T) {
			addr := liar(t, g, height, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
				asked <- struct{}{}
				<-answer
				send(&wire.SyncAnswer{ID: q.ID, Status: wire.StatusEnd, HeadHeight: height, Head: wire.BlockID{1}})
			})
			require.NoError(t, n.Connect(t.Context(), addr))
			eventually(t, func() bool { return n.knows(addr.ID) }, "greeted")
			if height == 900 {
				<-asked
				require.True(t, n.Syncing().Checking)
				require.False(t, n.Syncing().Active)
				require.Zero(t, n.Syncing().Target)
				answer <- struct{}{}
			}
			eventually(t, func() bool { return !n.Syncing().Checking }, "found out")
			require.False(t, n.Syncing().Active)
			require.Zero(t, n.Syncing().Target)
		})
	}
}

// A peer that has the blocks, shows it, and then drips them holds a node up for a slice
// of time and no longer.
func TestADrippingPeerIsLeftForAQuickerOne(t *testing.T) {
	g, c := testGenesis("drip"), newClock()
	const height, drip = 300, 400 * time.Millisecond
	honest := start(t, g, c)
	last := honest.grow(height, "", 0)
	n := start(t, g, c, func(c *overlay.Config) { c.Limits.SyncSlice = 500 * time.Millisecond })
	served := new(atomic.Int32)
	for range 3 { // none of them may hold it up
		addr := liar(t, g, height, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			for i := range uint64(q.Count) {
				id, ok := honest.chain.BlockAt(q.FromHeight + i)
				if !ok {
					break
				}
				if q.FromHeight < height {
					time.Sleep(drip)
				}
				b, _ := honest.chain.Block(id)
				send(&wire.SyncAnswer{ID: q.ID, Block: b.AppendTo(nil)})
				served.Add(1)
			}
			send(&wire.SyncAnswer{ID: q.ID, Status: wire.StatusEnd, HeadHeight: height, Head: last.ID()})
		})
		require.NoError(t, n.Connect(t.Context(), addr))
	}
	eventually(t, func() bool { return n.Syncing().Active && n.chain.Head().Height > 0 }, "it drips")
	require.EqualValues(t, height, n.Syncing().Target)
	n.join(honest)
	eventually(t, func() bool { return n.chain.Head().ID == last.ID() }, "the honest peer's blocks")
	require.Less(t, served.Load(), int32(height/4), "few of them from those that drip")
	require.Zero(t, n.seen.blamed(), "slowness is no offence")
	require.True(t, n.log.has("gives blocks slowly"))
}

// Alone, a slow peer is better than none.
func TestASlowPeerIsFollowedWhereThereIsNoOther(t *testing.T) {
	g, c := testGenesis("slow source"), newClock()
	source := start(t, g, c)
	last := source.grow(10, "", 0)
	n := start(t, g, c, func(c *overlay.Config) { c.Limits.SyncSlice = 50 * time.Millisecond })
	addr := liar(t, g, 10, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
		for i := range uint64(q.Count) {
			id, ok := source.chain.BlockAt(q.FromHeight + i)
			if !ok {
				break
			}
			time.Sleep(60 * time.Millisecond)
			b, _ := source.chain.Block(id)
			send(&wire.SyncAnswer{ID: q.ID, Block: b.AppendTo(nil)})
		}
		send(&wire.SyncAnswer{ID: q.ID, Status: wire.StatusEnd, HeadHeight: 10, Head: last.ID()})
	})
	require.NoError(t, n.Connect(t.Context(), addr))
	eventually(t, func() bool { return n.chain.Head().ID == last.ID() }, "all blocks, slowly")
	require.False(t, n.log.has("gives blocks slowly"))
}
