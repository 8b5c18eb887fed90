package overlay_test

import (
	"bufio"
	"encoding/binary"
	"testing"
	"time"

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
