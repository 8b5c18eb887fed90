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

// answerer answers a sync request.
type answerer func(q *wire.SyncRequest, send func(*wire.SyncAnswer))

// telling gives the headers that follow the locator on a chain, or from a height on, and the
// end, and leaves requests for blocks to another.
func telling(c *chain, blocks answerer) answerer {
	return func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
		if !q.Headers {
			blocks(q, send)
			return
		}
		from := q.FromHeight
		for i, id := range q.Blocks {
			from = wire.LocatorHeight(q.FromHeight, i)
			if here, ok := c.BlockAt(from); from == 0 || ok && here == id {
				from++
				break
			}
		}
		a := wire.SyncAnswer{ID: q.ID}
		for ; len(a.Headers) < min(int(q.Count), wire.MaxSyncHeaders); from++ {
			id, ok := c.BlockAt(from)
			if !ok {
				break
			}
			b, _ := c.Block(id)
			a.Headers = append(a.Headers, b.Header.Bytes())
		}
		if len(a.Headers) > 0 {
			send(&a)
		}
		ending(c, q, send)
	}
}

func ending(c *chain, q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
	head := c.Head()
	send(&wire.SyncAnswer{ID: q.ID, Status: wire.StatusEnd, HeadHeight: head.Height, Head: head.ID})
}

// giving gives the blocks asked for, with a pause before each.
func giving(c *chain, pause time.Duration) answerer {
	return telling(c, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
		for i := range uint64(q.Count) {
			id, ok := c.BlockAt(q.FromHeight + i)
			if !ok {
				break
			}
			time.Sleep(pause)
			b, _ := c.Block(id)
			send(&wire.SyncAnswer{ID: q.ID, Block: b.AppendTo(nil)})
		}
		ending(c, q, send)
	})
}

// R93: what an answer proves, and what not. R91: whoever gives nothing is replaced.
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
	outOfTurn := seal(g, genesis, 5, nil, func(h *wire.HeaderBody) { h.Slot, h.Time = 4, g.SlotStart(4) })
	large := func(b *wire.Block) *wire.Block { // too large for first, whatever its header says
		for i := range uint64(8) {
			b.Txs = append(b.Txs, transfer(g, "wallet 1", i, func(b *wire.TxBody) { b.Payload = make([]byte, 1000) }))
		}
		return b
	}
	own := newChain(t, g, c) // of one block
	own.force(first)
	say := func(change func(a *wire.SyncAnswer)) answerer {
		return func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			a := wire.SyncAnswer{ID: q.ID}
			change(&a)
			send(&a)
		}
	}
	header := func(h *wire.Header) answerer {
		return say(func(a *wire.SyncAnswer) { a.Headers = [][]byte{h.Bytes()} })
	}
	block := func(b *wire.Block) answerer {
		return telling(own, say(func(a *wire.SyncAnswer) { a.Block = b.AppendTo(nil) }))
	}
	bad := seal(g, genesis, 2, []*wire.Transaction{transfer(g, "wallet 0", 7)}) // a nonce that nobody can use
	refused := newChain(t, g, c)
	refused.force(bad)
	mute := func(*wire.SyncRequest, func(*wire.SyncAnswer)) { time.Sleep(5 * time.Second) }
	for name, test := range map[string]struct {
		claims  uint64 // more than one block ahead is to be shown at once
		answer  answerer
		offence peerscore.Offence // 0: none can be proven
	}{
		"S6 nothing at the height it claims": {1000, say(func(a *wire.SyncAnswer) {
			a.Status, a.HeadHeight, a.Head = wire.StatusEnd, 1000, wire.BlockID{1}
		}), 0},
		"S7 headers and no blocks": {1, telling(own, say(func(a *wire.SyncAnswer) {
			a.Status, a.HeadHeight, a.Head = wire.StatusEnd, 1000, wire.BlockID{1}
		})), 0},
		"S3 answer to another request": {1, say(func(a *wire.SyncAnswer) { a.ID, a.Status = a.ID+1, wire.StatusEnd }), peerscore.LyingAnswer},
		"S5 not a block":               {1, telling(own, say(func(a *wire.SyncAnswer) { a.Block = []byte{1, 2, 3} })), peerscore.LyingAnswer},
		"S5 larger than its header says": {1, telling(own, say(func(a *wire.SyncAnswer) {
			a.Block = make([]byte, 1<<20)
		})), peerscore.LyingAnswer},
		"S5 a body larger than its header says":    {1, block(large(&wire.Block{Header: first.Header})), peerscore.LyingAnswer},
		"S5 another height, and larger":            {1, block(large(seal(g, ledger.Ref{ID: genesis.ID, Height: 6}, 20, nil))), peerscore.LyingAnswer},
		"S5 another network, and larger":           {1, block(large(forge(1))), peerscore.InvalidHeader},
		"another block of that height, and larger": {1, block(large(seal(g, genesis, 4, nil))), 0},
		"S5 cut short":                 {1, telling(own, func(*wire.SyncRequest, func(*wire.SyncAnswer)) {}), 0},
		"S15 another height":           {1, block(seal(g, ledger.Ref{ID: genesis.ID, Height: 6}, 20, nil)), peerscore.LyingAnswer},
		"another block of that height": {1, block(seal(g, genesis, 4, nil)), 0},
		"another block of that height that was nobody's turn": {1, block(outOfTurn), peerscore.InvalidHeader},
		"a block of another network":                          {1, block(forge(1)), peerscore.InvalidHeader},
		"a body that its header signs not":                    {1, block(swapped), peerscore.LyingAnswer},
		"a block that the chain refuses":                      {1, giving(refused, 0), peerscore.LyingAnswer},
		"S2 more blocks than asked for": {1, telling(own, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			for range 1000 {
				send(&wire.SyncAnswer{ID: q.ID, Block: first.AppendTo(nil)})
			}
		}), peerscore.LyingAnswer},
		"a header that follows nothing of ours": {1, header(seal(g, ledger.Ref{ID: wire.BlockID{7}, Height: 6}, 20, nil).Header), peerscore.LyingAnswer},
		"a header that is none":                 {1, say(func(a *wire.SyncAnswer) { a.Headers = [][]byte{{1, 2, 3}} }), peerscore.LyingAnswer},
		"a block where headers were asked for":  {1, say(func(a *wire.SyncAnswer) { a.Block = first.AppendTo(nil) }), peerscore.LyingAnswer},
		"S2 more headers than asked for": {1, say(func(a *wire.SyncAnswer) {
			for range wire.MaxSyncHeaders {
				a.Headers = append(a.Headers, first.Header.Bytes())
			}
		}), peerscore.LyingAnswer},
		"a header of another network":                    {1, header(forge(1).Header), peerscore.InvalidHeader},
		"S15 another height than it claims":              {1000, header(first.Header), peerscore.LyingAnswer},
		"a header of another network for what it claims": {1000, header(forge(1000).Header), peerscore.InvalidHeader},
		"S7 silence about what it claims":                {1000, mute, 0},
		"S7 silence":                                     {1, mute, 0},
		"S7 headers, then silence":                       {1, telling(own, mute), 0},
		"busy":                                           {1, say(func(a *wire.SyncAnswer) { a.Status = wire.StatusBusy }), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			honest := start(t, g, c)
			last := honest.grow(10, "", 0)
			n := start(t, g, c, func(c *overlay.Config) { c.Limits.SyncRefresh = time.Hour })
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

// R114: silence proves nothing once; time after time, while others answer, it costs reputation.
func TestSilentLiarsLoseReputation(t *testing.T) {
	g, c := testGenesis("ungiving"), newClock()
	for name, claims := range map[string]uint64{"S7 one more block": 11, "S6 many more": 900} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			quick := func(c *overlay.Config) {
				c.Limits.SyncRefresh, c.Limits.SyncStall = 200*time.Millisecond, 500*time.Millisecond
				c.Sync.Patience, c.Sync.Rest, c.Sync.MaxRest = 500*time.Millisecond, 50*time.Millisecond, 100*time.Millisecond
			}
			n := start(t, g, c, quick)
			n.grow(10, "", 0)
			released := make(chan struct{})
			defer close(released)
			mute := func(*wire.SyncRequest, func(*wire.SyncAnswer)) { <-released }
			silent := liar(t, g, claims, mute)
			require.NoError(t, n.Connect(t.Context(), silent))
			honest := start(t, g, c)
			honest.grow(10, "", 0)
			n.join(honest)
			eventually(t, func() bool { return len(n.seen.offencesOf(silent.ID)) > 0 }, "offence")
			require.Equal(t, peerscore.BrokenPromise, n.seen.offencesOf(silent.ID)[0])
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
	const height, drip = 300, 100 * time.Millisecond
	honest := start(t, g, c)
	last := honest.grow(height, "", 0)
	n := start(t, g, c, func(c *overlay.Config) { c.Sync.Patience = 500 * time.Millisecond })
	served := new(atomic.Int32)
	for range 3 { // none of them may hold it up
		drips := giving(honest.chain, drip)
		addr := liar(t, g, height, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			drips(q, func(a *wire.SyncAnswer) {
				if a.Block != nil {
					served.Add(1)
				}
				send(a)
			})
		})
		require.NoError(t, n.Connect(t.Context(), addr))
	}
	eventually(t, func() bool { return n.Syncing().Active && n.chain.Head().Height > 0 }, "it drips")
	require.EqualValues(t, height, n.Syncing().Target)
	n.join(honest)
	eventually(t, func() bool { return n.chain.Head().ID == last.ID() }, "the honest peer's blocks")
	require.Less(t, served.Load(), int32(height/4), "few of them from those that drip")
	require.Zero(t, n.seen.blamed(), "slowness is no offence")
	require.True(t, n.log.has("gives blocks too slowly"))
}

// R91: peers that give some blocks, and then take as long as they may to say that they are busy,
// are asked after those that give, and lose no reputation.
func TestBusyPeersHoldUpNobody(t *testing.T) {
	g, c := testGenesis("busy"), newClock()
	const height, patience = 900, 300 * time.Millisecond
	honest := start(t, g, c)
	last := honest.grow(height, "", 0)
	n := start(t, g, c, func(c *overlay.Config) { c.Sync.Patience = patience })
	var busy atomic.Int32
	for range 16 {
		gives := giving(honest.chain, 0)
		var asked atomic.Int32
		addr := liar(t, g, height, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			if q.Headers || asked.Add(1) == 1 {
				gives(q, send)
				return
			}
			busy.Add(1)
			time.Sleep(patience * 5 / 6)
			send(&wire.SyncAnswer{ID: q.ID, Status: wire.StatusBusy})
		})
		require.NoError(t, n.Connect(t.Context(), addr))
	}
	eventually(t, func() bool { return busy.Load() >= 16 }, "they gave what they give")
	n.join(honest)
	eventually(t, func() bool { return n.chain.Head().ID == last.ID() }, "the honest peer's blocks")
	require.Zero(t, n.seen.blamed(), "to be busy is no offence")
}

// Alone, a slow peer is better than none.
func TestASlowPeerIsFollowedWhereThereIsNoOther(t *testing.T) {
	g, c := testGenesis("slow source"), newClock()
	source := start(t, g, c)
	last := source.grow(12, "", 0)
	n := start(t, g, c, func(c *overlay.Config) { c.Sync.Patience = 1500 * time.Millisecond })
	addr := liar(t, g, 12, giving(source.chain, 300*time.Millisecond))
	require.NoError(t, n.Connect(t.Context(), addr))
	eventually(t, func() bool { return n.chain.Head().ID == last.ID() }, "all blocks, slowly")
	require.False(t, n.log.has("gives blocks too slowly"))
}
