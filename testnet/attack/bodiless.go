package attack

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/testnet/shapes"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// bodiless is a producer that announces blocks and gives nobody their bodies: there are
// none.
type bodiless struct {
	honest
	parts
	head *wire.Header // the highest that others announced; nil before the first
	done uint64       // the last slot used
	made []wire.BlockID
	size int
	how  string
	by   uint64       // slots, of those that are late
	late []lateHeader // oldest first
}

// lateHeader is a header that is announced some slots after its own.
type lateHeader struct {
	slot uint64 // to announce it in
	body *wire.HeaderBody
}

// lateBy is how many slots later that is at the most: as late as headers are passed on.
const lateBy = ledger.LateSlots - 1

func newBodiless(p *params) rule {
	return &bodiless{
		size: p.number("size", "bytes that its blocks claim to have", 256<<10, compact.MinChunked, wire.MaxBlock),
		how:  p.word("headers", "how it announces them: one in each slot of its own, two of which each peer is told one, or one that is some slots late", "one", "twins", "late"),
		by:   uint64(p.number("slots", "how many slots late those are", lateBy, 1, lateBy)),
	}
}

func (b *bodiless) message(n *node, m *message) {
	n.forward(m)
	c := blockIn(n, m)
	if c == nil || n.seat.Producer != nil && c.Header.Body().Producer == shapes.Address(n.seat.Producer) {
		return
	}
	if b.head == nil || c.Header.Body().Height > b.head.Body().Height {
		b.head = c.Header
	}
}

// frame leaves every question about its own blocks without an answer. Of others it has
// nothing.
func (b *bodiless) frame(n *node, from peer.ID, f compact.Frame) {
	if ask, ok := f.(*compact.Ask); ok && !slices.Contains(b.made, ask.Block) {
		b.send(n, from, &compact.Fill{Block: ask.Block, ID: ask.ID})
	}
}

func (b *bodiless) beat(n *node, now time.Time) {
	slot, begun := n.seat.Genesis.SlotAt(uint64(now.UnixMilli()))
	for len(b.late) > 0 && b.late[0].slot <= slot {
		b.announce(n, b.late[0].body, 1)
		b.late = b.late[1:]
	}
	if n.seat.Producer == nil || b.head == nil || !begun || slot <= b.done {
		return
	}
	height := b.head.Body().Height + 1
	self := shapes.Address(n.seat.Producer)
	if slot <= b.head.Body().Slot || n.seat.Genesis.ProducerOf(height, slot) != self {
		return
	}
	b.done = slot
	body := &wire.HeaderBody{
		Version: n.seat.Genesis.VersionAt(height), Height: height, Parent: b.head.ID(), Producer: self, FeeRecipient: self,
		Slot: slot, Time: uint64(now.UnixMilli()),
	}
	switch b.how {
	case "late":
		b.late = append(b.late, lateHeader{slot + b.by, body})
	case "twins":
		b.announce(n, body, 2)
	default:
		b.announce(n, body, 1)
	}
}

// announce tells each peer of one of so many headers of a turn.
func (b *bodiless) announce(n *node, body *wire.HeaderBody, twins int) {
	topic := overlay.BlockTopic(n.network)
	for i := range twins {
		twin := *body
		c := b.promise(n, &twin, uint64(i))
		b.made = append(b.made, c.Header.ID())
		m, err := n.compose(topic, c.AppendTo(nil))
		if err != nil {
			return
		}
		// What comes back is passed on to nobody, as an equivocator's.
		n.keep(&message{id: idOf(n.network, m), carried: m})
		for k, l := range n.audience(topic) {
			if k%twins == i {
				l.publish(m)
			}
		}
	}
}

// claimedTx is the size of the transactions that a claimed body has.
const claimedTx = 1 << 10

// promise completes and signs a header whose transactions and chunks are made up.
func (b *bodiless) promise(n *node, body *wire.HeaderBody, twin uint64) *wire.CompactBlock {
	binary.BigEndian.PutUint64(body.Salt[:], body.Slot<<1|twin)
	layout, _ := compact.LayoutFor(b.size) // it is large enough
	body.Size, body.TxCount = uint32(b.size), uint32(max(1, b.size/claimedTx))
	body.ChunkData, body.ChunkParity = uint32(layout.Data), uint32(layout.Parity)
	body.ChunkRoot = sha256.Sum256([]byte("no chunks"))
	made := make([]wire.TxID, body.TxCount)
	for i := range made {
		made[i] = sha256.Sum256(binary.BigEndian.AppendUint64(body.Salt[:], uint64(i)))
	}
	ids := wire.ShortIDs(body.Salt, made)
	body.TxRoot, body.ShortIDsHash = wire.TxRoot(made), wire.ShortIDsHash(ids)
	return &wire.CompactBlock{Header: wire.SignHeader(n.network, n.seat.Producer, body), ShortIDs: ids}
}
