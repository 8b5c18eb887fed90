package overlay_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// large makes a block of the size of so many bytes, whose header signs its chunks.
func large(t testing.TB, n *node, slot uint64, size int, nonces map[string]uint64) (*wire.Block, *compact.Coded) {
	t.Helper()
	var txs []*wire.Transaction
	total := 0
	for i := uint64(0); total < size; i++ {
		wallet := fmt.Sprint("wallet ", i%8)
		tx := transfer(n.g, wallet, nonces[wallet], func(b *wire.TxBody) {
			b.Fee, b.Payload = 1<<20, bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 1_000)
		})
		nonces[wallet]++
		txs = append(txs, tx)
		total += tx.Size()
	}
	layout, ok := compact.LayoutFor(total)
	require.True(t, ok)
	coded, err := compact.Encode(layout, txs)
	require.NoError(t, err)
	return seal(n.g, n.chain.Head(), slot, txs, coded.Describe), coded
}

func (n *node) produceCoded(b *wire.Block, coded *compact.Coded) {
	n.t.Helper()
	require.NoError(n.t, n.PublishBlock(n.t.Context(), n.add(b), coded))
}

func (n *node) awaitBlock(b *wire.Block) overlay.Rebuilt {
	n.t.Helper()
	eventually(n.t, func() bool { return n.chain.Head().ID == b.ID() }, "block at %s", n.host.ID())
	eventually(n.t, func() bool { _, ok := n.seen.how(b.ID()); return ok }, "report")
	how, _ := n.seen.how(b.ID())
	return how
}

// R95: a block of which much is missing comes in chunks, from several neighbours; and who got
// it so serves the next.
func TestLargeBlockComesInChunks(t *testing.T) {
	g, c := testGenesis("chunks"), newClock()
	var nodes []*node
	for range 4 {
		nodes = append(nodes, start(t, g, c))
	}
	a := nodes[0]
	nodes[1].join(a)
	nodes[2].join(a, nodes[1])
	nodes[3].join(nodes[1], nodes[2]) // not a neighbour of the producer
	meshed(t, nodes...)
	c.slot.Add(1)
	b, coded := large(t, a, slotOf(c), 600<<10, map[string]uint64{})
	a.produceCoded(b, coded)
	for _, n := range nodes[1:] {
		how := n.awaitBlock(b)
		require.Equal(t, string(compact.Chunks), how.Way())
		require.True(t, how.Requested())
		require.GreaterOrEqual(t, how.Chunks, coded.Layout().Data)
		require.NotEmpty(t, how.From)
		require.Zero(t, n.seen.blamed())
	}
	require.NotContains(t, func() []peerscore.PeerID { how, _ := nodes[3].seen.how(b.ID()); return how.From }(), peerscore.PeerID(a.host.ID()))
}

// R95: what began here and nobody gave back goes along with the header, so that nobody asks.
func TestOwnTransactionsComeUnasked(t *testing.T) {
	g, c := testGenesis("unasked"), newClock()
	a, b := start(t, g, c), start(t, g, c)
	secret := transfer(g, "wallet 0", 0)
	a.submit(secret) // nobody hears it: it waits for a peer
	b.join(a)
	meshed(t, a, b)
	eventually(t, func() bool { return b.chain.has(secret.ID()) }, "transaction")

	// An announcement of what is quiet, or sync, may be quicker where the machine is busy.
	txs := []*wire.Transaction{secret}
	for nonce := range uint64(5) {
		quiet := transfer(g, "wallet 1", nonce)
		a.Reannounce(a.accept(quiet)) // followed, and told to nobody for now
		c.slot.Add(1)
		block := seal(g, a.chain.Head(), slotOf(c), append(txs, quiet))
		late := b.chain.has(quiet.ID())
		a.produce(block)
		eventually(t, func() bool { return b.chain.Head().ID == block.ID() }, "block")
		if how, ok := b.seen.how(block.ID()); ok && !late {
			require.False(t, how.Requested())
			require.Zero(t, a.seen.blamed()+b.seen.blamed())
			return
		}
		txs = nil
	}
	t.Fatal("no block of five came with what is quiet")
}

// partner is a hostile peer that takes frames of blocks, and sends what it likes.
type partner struct {
	*herald
	out network.Stream
}

func newPartner(t *testing.T, n *node) *partner {
	t.Helper()
	p := &partner{herald: newHeraldOf(t, n, &wire.Hello{Network: n.g.ID(), Protocol: overlay.ProtocolVersion, Services: overlay.ServiceFrames},
		func(*wire.CompactRequest) *wire.CompactAnswer { return nil })}
	var err error
	p.out, err = p.host.NewStream(t.Context(), n.host.ID(), overlay.CompactProtocol(n.g.ID()))
	require.NoError(t, err)
	return p
}

func (p *partner) send(t *testing.T, frames ...[]byte) {
	t.Helper()
	for _, f := range frames {
		_, err := p.out.Write(append(binary.AppendUvarint(nil, uint64(len(f))), f...))
		require.NoError(t, err)
	}
}

func (p *partner) announce(t *testing.T, b *wire.Block) {
	t.Helper()
	require.NoError(t, p.topic.Publish(t.Context(), wire.Compact(b).AppendTo(nil), pubsub.WithReadiness(pubsub.MinTopicSize(1))))
}

// R95: what no honest peer sends costs its sender, and the block is had from others.
func TestHostileParts(t *testing.T) {
	g, c := testGenesis("hostile parts"), newClock()
	c.slot.Add(1)
	other := transfer(g, "wallet 7", 9)
	for name, test := range map[string]struct {
		frame   func(b *wire.Block, coded *compact.Coded) compact.Frame
		offence peerscore.Offence // 0: nothing is proven
	}{
		"a chunk that does not prove": {func(b *wire.Block, coded *compact.Coded) compact.Frame {
			return &compact.Chunk{Block: b.ID(), Data: make([]byte, coded.Layout().Chunk), Pushed: true}
		}, peerscore.LyingAnswer},
		"a chunk beyond the block": {func(b *wire.Block, coded *compact.Coded) compact.Frame {
			return &compact.Chunk{Block: b.ID(), Index: coded.Layout().Total(), Data: make([]byte, coded.Layout().Chunk), Pushed: true}
		}, peerscore.BadFrame},
		"another transaction": {func(b *wire.Block, _ *compact.Coded) compact.Frame {
			return &compact.Fill{Block: b.ID(), Places: []uint32{0}, Txs: [][]byte{other.Bytes()}}
		}, peerscore.LyingAnswer},
		"an answer to nothing": {func(b *wire.Block, _ *compact.Coded) compact.Frame {
			return &compact.Fill{Block: b.ID(), ID: 77, Places: []uint32{0}, Txs: [][]byte{b.Txs[0].Bytes()}}
		}, peerscore.LyingAnswer},
		"a place beyond the block": {func(b *wire.Block, _ *compact.Coded) compact.Frame {
			return &compact.Ask{Block: b.ID(), ID: 1, Places: []uint32{60_000}}
		}, peerscore.BadFrame},
		"promises that are not kept": {func(b *wire.Block, _ *compact.Coded) compact.Frame {
			return &compact.Have{Block: b.ID(), Whole: true}
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			n, honest := start(t, g, c), start(t, g, c)
			p := newPartner(t, n)
			b, coded := large(t, n, slotOf(c), 200<<10, map[string]uint64{})
			p.announce(t, b)
			eventually(t, func() bool { return n.log.has("peer joined") }, "join")
			p.send(t, test.frame(b, coded).AppendTo(nil))
			if test.offence != 0 {
				eventually(t, func() bool { return len(n.seen.offencesOf(p.host.ID())) > 0 }, "offence")
				require.Equal(t, test.offence, n.seen.offencesOf(p.host.ID())[0])
			}
			n.join(honest)
			meshed(t, honest)
			honest.produceCoded(b, coded)
			eventually(t, func() bool { return n.chain.Head().ID == b.ID() }, "the block is had all the same")
			if test.offence == 0 {
				require.Empty(t, n.seen.offencesOf(p.host.ID()))
			}
			require.Empty(t, n.seen.offencesOf(honest.host.ID()))
			require.Zero(t, honest.seen.blamed())
		})
	}
	t.Run("garbage", func(t *testing.T) {
		n := start(t, g, c)
		p := newPartner(t, n)
		p.send(t, (&compact.Have{Whole: true}).AppendTo(nil), []byte{0x82, 0x01, 0x05, 1, 2})
		eventually(t, func() bool { return len(n.seen.offencesOf(p.host.ID())) > 0 }, "offence")
		require.Equal(t, peerscore.BadFrame, n.seen.offencesOf(p.host.ID())[0])
	})
}

// R21: headers of one who is no producer cost him his place, and nobody a block.
func TestFloodOfHeadersOfANonProducer(t *testing.T) {
	g, c := testGenesis("header flood"), newClock()
	c.slot.Add(1)
	n, honest := start(t, g, c), start(t, g, c)
	n.join(honest)
	meshed(t, n, honest)
	p := newPartner(t, n)
	nobody := key("nobody")
	for i := range 1_000 {
		h := *seal(g, n.chain.Head(), slotOf(c), nil).Header.Body()
		h.Producer, h.FeeRecipient, h.Salt[0], h.Salt[1] = address(nobody), address(nobody), byte(i), byte(i>>8)
		raw := wire.Compact(&wire.Block{Header: wire.SignHeader(g.ID(), nobody, &h)}).AppendTo(nil)
		require.NoError(t, p.topic.Publish(t.Context(), raw))
	}
	eventually(t, func() bool {
		return n.Banned(p.host.ID()) || n.peer(p.host.ID()).Score < 0
	}, "its standing falls")
	b, coded := large(t, honest, slotOf(c), 200<<10, map[string]uint64{})
	honest.produceCoded(b, coded)
	n.awaitBlock(b)
	require.Equal(t, peerscore.InvalidHeader, n.seen.offencesOf(p.host.ID())[0])
	require.Empty(t, n.seen.offencesOf(honest.host.ID()))
	require.Zero(t, overlay.UnderWay(n.Overlay))
}
