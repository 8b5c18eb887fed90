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

func TestLateNodeCatchesUp(t *testing.T) {
	g, c := testGenesis("late"), newClock()
	a := start(t, g, c)
	last := a.grow(100, "wallet 0", 0)
	b := start(t, g, c, bootstrap(a), func(c *overlay.Config) { c.Limits.SyncBlocks = 30 }) // several answers
	eventually(t, func() bool { return b.chain.Head().ID == last.ID() }, "100 blocks")
	eventually(t, func() bool { return !b.Syncing().Active }, "done")
	require.EqualValues(t, 100, b.Syncing().Height)
	require.EqualValues(t, 100, b.Syncing().Target)
	require.Zero(t, a.seen.blamed()+b.seen.blamed())

	// A restarted node has most of it.
	more := a.grow(5, "", 0)
	a.join(b)
	b.Disconnect(a.host.ID())
	eventually(t, func() bool { return b.chain.Head().ID == more.ID() }, "the rest after reconnecting")
}

// branch grows a chain of one producer's slots only, so that nothing of it becomes final.
func (n *node) branch(from ledger.Ref, slots ...uint64) (last *wire.Block) {
	for _, slot := range slots {
		last = seal(n.g, from, slot, nil)
		n.add(last)
		from = refOf(last)
	}
	return last
}

func even(from, count uint64) (slots []uint64) {
	for i := range count {
		slots = append(slots, from+2*i)
	}
	return slots
}

func TestSyncCrossesAFork(t *testing.T) {
	g, c := testGenesis("fork"), newClock()
	genesis := ledger.Ref{ID: g.ID().GenesisBlock()}
	a, b := start(t, g, c), start(t, g, c)
	common := a.branch(genesis, even(2, 5)...)
	b.branch(genesis, even(2, 5)...)
	long := a.branch(refOf(common), even(20, 60)...)
	short := b.branch(refOf(common), even(22, 40)...)
	require.NotEqual(t, long.ID(), short.ID())
	b.join(a)
	eventually(t, func() bool { return b.chain.Head().ID == long.ID() }, "the longer branch wins")
	require.Equal(t, long.ID(), a.chain.Head().ID)
	require.Zero(t, a.seen.blamed()+b.seen.blamed())
}

// Two chains of the same height: gossip is silent, hello shows nothing higher; refresh finds it.
func TestRefreshFindsAnotherBranch(t *testing.T) {
	g, c := testGenesis("level"), newClock()
	genesis := ledger.Ref{ID: g.ID().GenesisBlock()}
	quick := func(c *overlay.Config) { c.Limits.SyncRefresh = 200 * time.Millisecond }
	a, b := start(t, g, c, quick), start(t, g, c, quick)
	better := a.branch(genesis, even(2, 6)...)
	b.branch(genesis, even(4, 6)...)
	b.join(a)
	eventually(t, func() bool { return b.chain.Head().ID == better.ID() }, "the branch with the lower slot wins")
	require.Equal(t, better.ID(), a.chain.Head().ID)
}

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
	other := seal(testGenesis("another"), genesis, 2, nil) // signed for another network
	swapped := &wire.Block{Header: first.Header, Txs: []*wire.Transaction{transfer(g, "wallet 0", 0)}}
	for name, test := range map[string]struct {
		answer  func(q *wire.SyncRequest, send func(*wire.SyncAnswer))
		offence peerscore.Offence // 0: none can be proven
	}{
		"nothing at the height it claims": {func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			send(&wire.SyncAnswer{ID: q.ID, Status: wire.StatusEnd, HeadHeight: 1000, Head: wire.BlockID{1}})
		}, 0},
		"only what it must": {func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			if q.FromHeight == 1 {
				send(&wire.SyncAnswer{ID: q.ID, Block: first.AppendTo(nil)})
			}
			send(&wire.SyncAnswer{ID: q.ID, Status: wire.StatusEnd, HeadHeight: 1000, Head: wire.BlockID{1}})
		}, 0},
		"answer to another request": {func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			send(&wire.SyncAnswer{ID: q.ID + 1, Status: wire.StatusEnd})
		}, peerscore.LyingAnswer},
		"another height": {func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			send(&wire.SyncAnswer{ID: q.ID, Block: seal(g, ledger.Ref{ID: genesis.ID, Height: 6}, 20, nil).AppendTo(nil)})
		}, peerscore.LyingAnswer},
		"not a block": {func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			send(&wire.SyncAnswer{ID: q.ID, Block: []byte{1, 2, 3}})
		}, peerscore.LyingAnswer},
		"a header of another network": {func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			// Its parent is ours, so it is looked at.
			h := *other.Header.Body()
			h.Parent = genesis.ID
			forged := wire.SignHeader(wire.NetworkID{}, key("producer 0"), &h)
			send(&wire.SyncAnswer{ID: q.ID, Block: (&wire.Block{Header: forged}).AppendTo(nil)})
			send(&wire.SyncAnswer{ID: q.ID, Status: wire.StatusEnd, HeadHeight: 1000})
		}, peerscore.InvalidHeader},
		"a body that the header does not sign": {func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			send(&wire.SyncAnswer{ID: q.ID, Block: swapped.AppendTo(nil)})
			send(&wire.SyncAnswer{ID: q.ID, Status: wire.StatusEnd, HeadHeight: 1000})
		}, peerscore.LyingAnswer},
		"more than was asked for": {func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
			for range 1000 {
				send(&wire.SyncAnswer{ID: q.ID, Block: first.AppendTo(nil)})
			}
		}, peerscore.LyingAnswer},
		"silence":     {func(*wire.SyncRequest, func(*wire.SyncAnswer)) { time.Sleep(5 * time.Second) }, 0},
		"early close": {func(*wire.SyncRequest, func(*wire.SyncAnswer)) {}, 0},
		"busy": {func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
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
			addr := liar(t, g, 1000, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
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

// R36: by height range or by id, within bounds.
func TestSyncServesWithinBounds(t *testing.T) {
	g, c := testGenesis("serve"), newClock()
	n := start(t, g, c, func(c *overlay.Config) { c.Limits.SyncBlocks = 7 })
	n.grow(20, "", 0)
	id, _ := n.chain.BlockAt(3)
	h := newHost(t)
	hello := &wire.Hello{Network: g.ID(), Protocol: overlay.ProtocolVersion}
	speakHello(h, hello)
	_, err := exchangeHello(t, h, n, hello.AppendTo(nil))
	require.NoError(t, err)
	for name, test := range map[string]struct {
		q    wire.SyncRequest
		want []uint64
	}{
		"a range":           {wire.SyncRequest{FromHeight: 2, Count: 3}, []uint64{2, 3, 4}},
		"more than we give": {wire.SyncRequest{FromHeight: 1, Count: 1 << 31}, []uint64{1, 2, 3, 4, 5, 6, 7}},
		"beyond the head":   {wire.SyncRequest{FromHeight: 19, Count: 5}, []uint64{19, 20}},
		"overflow":          {wire.SyncRequest{FromHeight: 1<<64 - 1, Count: 5}, nil},
		"height 0":          {wire.SyncRequest{FromHeight: 0, Count: 2}, nil},
		"nothing":           {wire.SyncRequest{}, nil},
		"by id":             {wire.SyncRequest{Blocks: []wire.BlockID{id}}, []uint64{3}},
		"an unknown id":     {wire.SyncRequest{Blocks: []wire.BlockID{{9}, id}}, nil},
		"the same id again": {wire.SyncRequest{Blocks: []wire.BlockID{id, id}}, []uint64{3, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := h.NewStream(t.Context(), n.host.ID(), overlay.SyncProtocol(g.ID()))
			require.NoError(t, err)
			defer s.Close()
			test.q.ID = 42
			b := test.q.AppendTo(nil)
			_, err = s.Write(append(binary.AppendUvarint(nil, uint64(len(b))), b...))
			require.NoError(t, err)
			in := bufio.NewReader(s)
			var got []uint64
			for {
				raw, err := readRaw(in)
				require.NoError(t, err)
				a, err := wire.DecodeSyncAnswer(raw)
				require.NoError(t, err)
				require.EqualValues(t, 42, a.ID)
				if a.Status == wire.StatusEnd {
					require.EqualValues(t, 20, a.HeadHeight)
					break
				}
				block, err := wire.DecodeBlock(a.Block)
				require.NoError(t, err)
				got = append(got, block.Header.Body().Height)
			}
			require.Equal(t, test.want, got)
		})
	}
}
