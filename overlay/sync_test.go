package overlay_test

import (
	"bufio"
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
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

// R108: of two chains as long the better one is found when hello shows the heads, and no
// block of the other is fetched.
func TestChainsAsLongAreComparedAtOnce(t *testing.T) {
	g, c := testGenesis("as long"), newClock()
	genesis := ledger.Ref{ID: g.ID().GenesisBlock()}
	never := func(c *overlay.Config) { c.Limits.SyncRefresh = time.Hour }
	a, b := start(t, g, c, never), start(t, g, c, never)
	better := a.branch(genesis, even(2, 6)...)
	worse := b.branch(genesis, even(4, 6)...)
	b.join(a)
	eventually(t, func() bool { return b.chain.Head().ID == better.ID() }, "the branch with the lower slot wins")
	require.Equal(t, better.ID(), a.chain.Head().ID)
	require.False(t, a.chain.HasBlock(worse.ID()))
	require.Zero(t, a.seen.blamed()+b.seen.blamed())
}

// R109: who comes onto another chain by catching up has its peers look at it.
func TestAnotherChainIsPassedOn(t *testing.T) {
	g, c := testGenesis("passed on"), newClock()
	genesis := ledger.Ref{ID: g.ID().GenesisBlock()}
	never := func(c *overlay.Config) { c.Limits.SyncRefresh = time.Hour }
	for name, extra := range map[string]uint64{"as long": 0, "one longer": 1, "much longer": 20} {
		t.Run(name, func(t *testing.T) {
			nodes := make([]*node, 4)
			var better *wire.Block
			for i := range nodes {
				nodes[i] = start(t, g, c, never)
				if i == len(nodes)-1 {
					better = nodes[i].branch(genesis, even(2, 6+extra)...)
					break
				}
				nodes[i].branch(genesis, even(4, 6)...)
				if i > 0 {
					nodes[i].join(nodes[i-1])
				}
			}
			eventually(t, func() bool { return len(nodes[0].Peers())+len(nodes[2].Peers()) == 2 }, "a line of three")
			nodes[3].join(nodes[2])
			for _, n := range nodes {
				eventually(t, func() bool { return n.chain.Head().ID == better.ID() }, "all along the line")
				require.Zero(t, n.seen.blamed())
			}
		})
	}
}

// R109: where a chain ends that an asker names has to be shown.
//
// S6: a height that is a lie.
func TestNamedHeadsAreClaims(t *testing.T) {
	g, c := testGenesis("named"), newClock()
	n := start(t, g, c, func(c *overlay.Config) { c.Limits.SyncRefresh = time.Hour })
	n.grow(5, "", 0)
	h := greetedHost(t, n)
	asked := make(chan *wire.SyncRequest, 100)
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
		asked <- q
		end := wire.SyncAnswer{ID: q.ID, Status: wire.StatusEnd, HeadHeight: 1000, Head: wire.BlockID{7}}
		_, _ = s.Write(frame(end.AppendTo(nil)))
	})
	poke(t, h, n, overlay.SyncProtocol(g.ID()), frame((&wire.SyncRequest{
		ID: 1, FromHeight: 1000, Count: 1, Headers: true, Blocks: []wire.BlockID{{7}},
	}).AppendTo(nil)))
	select {
	case q := <-asked:
		require.EqualValues(t, 1000, q.FromHeight)
	case <-time.After(patience):
		require.Fail(t, "not asked to show it")
	}
	eventually(t, func() bool { return !n.Syncing().Active && n.Syncing().Target == 5 }, "nobody is followed")
}

// R90: headers from a height, or from where a locator meets the best chain.
func TestHeadersAreServedWithinBounds(t *testing.T) {
	g, c := testGenesis("serve headers"), newClock()
	n := start(t, g, c, func(c *overlay.Config) { c.Limits.SyncHeaders = 7 })
	n.grow(20, "", 0)
	at := func(heights ...uint64) (ids []wire.BlockID) {
		for _, h := range heights {
			id, _ := n.chain.BlockAt(h)
			if h == 0 {
				id = g.ID().GenesisBlock()
			}
			ids = append(ids, id)
		}
		return ids
	}
	stranger := wire.BlockID{9}
	h := greetedHost(t, n)
	for name, test := range map[string]struct {
		q           wire.SyncRequest
		first, last uint64
	}{
		"a height":                  {wire.SyncRequest{FromHeight: 18, Count: 1}, 18, 18},
		"a range":                   {wire.SyncRequest{FromHeight: 2, Count: 3}, 2, 4},
		"more than we give":         {wire.SyncRequest{FromHeight: 1, Count: 1 << 31}, 1, 7},
		"beyond the head":           {wire.SyncRequest{FromHeight: 19, Count: 5}, 19, 20},
		"overflow":                  {wire.SyncRequest{FromHeight: 1<<64 - 1, Count: 5}, 0, 0},
		"none":                      {wire.SyncRequest{FromHeight: 3}, 0, 0},
		"our head":                  {wire.SyncRequest{FromHeight: 20, Count: 5, Blocks: at(20)}, 0, 0},
		"a locator":                 {wire.SyncRequest{FromHeight: 16, Count: 2, Blocks: at(16, 15)}, 17, 18},
		"a branch":                  {wire.SyncRequest{FromHeight: 16, Count: 2, Blocks: append([]wire.BlockID{stranger, stranger}, at(13)...)}, 14, 15},
		"genesis":                   {wire.SyncRequest{FromHeight: 0, Count: 2, Blocks: at(0)}, 1, 2},
		"down to genesis":           {wire.SyncRequest{FromHeight: 2, Count: 2, Blocks: append([]wire.BlockID{stranger, stranger}, at(0)...)}, 1, 2},
		"nothing in common":         {wire.SyncRequest{FromHeight: 16, Count: 2, Blocks: []wire.BlockID{stranger}}, 0, 0},
		"a block at another height": {wire.SyncRequest{FromHeight: 15, Count: 2, Blocks: at(16)}, 0, 0},
		"far above":                 {wire.SyncRequest{FromHeight: 1 << 63, Count: 2, Blocks: []wire.BlockID{stranger}}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			test.q.ID, test.q.Headers = 42, true
			got, end := exchangeSync(t, h, n, &test.q)
			require.EqualValues(t, 20, end.HeadHeight)
			require.Equal(t, n.chain.Head().ID, end.Head)
			var heights []uint64
			for _, a := range got {
				require.Empty(t, a.Block)
				for _, raw := range a.Headers {
					h, err := wire.DecodeHeader(raw)
					require.NoError(t, err)
					heights = append(heights, h.Body().Height)
				}
			}
			if test.first == 0 {
				require.Empty(t, heights)
				return
			}
			require.Len(t, heights, int(test.last-test.first+1))
			require.Equal(t, test.first, heights[0])
			require.Equal(t, test.last, heights[len(heights)-1])
		})
	}
}

// exchangeSync asks as a peer does that may ask for anything.
func exchangeSync(t *testing.T, h host.Host, n *node, q *wire.SyncRequest) (answers []*wire.SyncAnswer, end *wire.SyncAnswer) {
	t.Helper()
	s, err := h.NewStream(t.Context(), n.host.ID(), overlay.SyncProtocol(n.g.ID()))
	require.NoError(t, err)
	defer s.Close()
	b := q.AppendTo(nil)
	_, err = s.Write(append(binary.AppendUvarint(nil, uint64(len(b))), b...))
	require.NoError(t, err)
	in := bufio.NewReader(s)
	for {
		raw, err := readRaw(in)
		require.NoError(t, err)
		a, err := wire.DecodeSyncAnswer(raw)
		require.NoError(t, err)
		require.Equal(t, q.ID, a.ID)
		if a.Status == wire.StatusEnd {
			return answers, a
		}
		answers = append(answers, a)
	}
}

// R94: a node that stops in the middle goes on from there. R91: several peers give blocks.
func TestSyncResumesAndIsShared(t *testing.T) {
	g, c := testGenesis("resume"), newClock()
	a, b := start(t, g, c), start(t, g, c)
	const height = 900
	last := a.grow(height, "wallet 0", 0)
	for h := range uint64(height) {
		id, _ := a.chain.BlockAt(h + 1)
		block, _ := a.chain.Block(id)
		b.add(block)
	}
	ch := newChain(t, g, c)
	n := startOn(t, newHost(t), ch, bootstrap(a, b))
	eventually(t, func() bool { return ch.Head().Height > 100 }, "begins")
	n.stop()
	stored := ch.Head().Height
	t.Logf("stopped at %d", stored)
	lowest := new(atomic.Uint64)
	lowest.Store(height)
	gives := giving(a.chain, 0)
	addr := liar(t, g, height, func(q *wire.SyncRequest, send func(*wire.SyncAnswer)) {
		gives(q, func(a *wire.SyncAnswer) {
			for _, raw := range a.Headers {
				h, _ := wire.DecodeHeader(raw)
				lowest.Store(min(lowest.Load(), h.Body().Height))
			}
			send(a)
		})
		if !q.Headers {
			lowest.Store(min(lowest.Load(), q.FromHeight))
		}
	})
	n = startOn(t, newHost(t), ch)
	require.NoError(t, n.Connect(t.Context(), addr))
	eventually(t, func() bool { return ch.Head().ID == last.ID() }, "the rest")
	require.Equal(t, stored+1, lowest.Load(), "neither headers nor blocks that are stored")
	require.Zero(t, a.seen.blamed()+b.seen.blamed()+n.seen.blamed())
}

// A header that came before its parents draws them in, and is followed then. R91: the blocks
// between are fetched.
func TestOrphansDrawTheirParentsIn(t *testing.T) {
	g, c := testGenesis("orphans"), newClock()
	a, n := start(t, g, c), start(t, g, c, func(c *overlay.Config) { c.Limits.SyncRefresh = time.Hour })
	n.join(a)
	meshed(t, a, n)
	c.slot.Store(1040)
	head := ledger.Ref{ID: g.ID().GenesisBlock()}
	for slot := uint64(1001); slot < 1040; slot++ { // gossip misses these
		block := seal(g, head, slot, nil)
		a.add(block)
		head = refOf(block)
	}
	last := seal(g, head, 1040, nil)
	a.produce(last)
	eventually(t, func() bool { return n.chain.Head().ID == last.ID() }, "all")
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

// What is too early by our clock makes nobody a liar: the clock may be wrong, as before it is set
// after a boot. What came before it is kept, and nobody rests for long.
func TestSlowClockDelaysSyncNoLongerThanItLasts(t *testing.T) {
	g, slow, right := testGenesis("slow clock"), newClock(), newClock()
	right.slot.Store(1010)
	a := start(t, g, right)
	last := a.grow(300, "", 0)
	tip := seal(g, refOf(last), 1005, nil)
	a.add(tip)
	b := start(t, g, slow, bootstrap(a), func(c *overlay.Config) { c.Limits.SyncRefresh = time.Second })
	eventually(t, func() bool { return b.chain.Head().ID == last.ID() }, "all that is not early")
	slow.slot.Store(1010)
	eventually(t, func() bool { return b.chain.Head().ID == tip.ID() }, "the rest, once the clock is right")
	require.Zero(t, b.seen.blamed())
}
