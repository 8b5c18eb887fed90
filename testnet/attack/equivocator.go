package attack

import (
	"encoding/binary"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/testnet/shapes"
	"github.com/grapevine-p2p/grapevine/wire"
)

// equivocator is a producer that makes two blocks in each slot of its own, and
// tells one half of its peers of one, the other half of the other; or all of both.
type equivocator struct {
	honest
	both bool
	head *wire.Header // the highest it heard of; nil before the first
	done uint64       // the last slot used
}

func newEquivocator(p *params) rule {
	return &equivocator{both: p.word("tells", "who is told of which block", "halves", "both") == "both"}
}

func (e *equivocator) message(n *node, m *message) {
	n.forward(m)
	if m.carried.GetTopic() != overlay.BlockTopic(n.network) {
		return
	}
	c, err := wire.DecodeCompactBlock(m.carried.GetData())
	if err == nil && (e.head == nil || c.Header.Body().Height > e.head.Body().Height) {
		e.head = c.Header
	}
}

func (e *equivocator) beat(n *node, now time.Time) {
	slot, begun := n.seat.Genesis.SlotAt(uint64(now.UnixMilli()))
	if n.seat.Producer == nil || e.head == nil || !begun || slot <= e.done {
		return
	}
	height := e.head.Body().Height + 1
	self := shapes.Address(n.seat.Producer)
	if slot <= e.head.Body().Slot || n.seat.Genesis.ProducerOf(height, slot) != self {
		return
	}
	e.done = slot
	var twins [2]*wire.Block
	for i := range twins {
		twins[i] = e.make(n, &wire.HeaderBody{
			Version: n.seat.Genesis.VersionAt(height), Height: height, Parent: e.head.ID(), Producer: self, FeeRecipient: self,
			Slot: slot, Time: uint64(now.UnixMilli()),
		}, uint64(i))
	}
	topic := overlay.BlockTopic(n.network)
	var told [2]*pb.Message
	for i, b := range twins {
		var err error
		if told[i], err = n.compose(topic, wire.Compact(b).AppendTo(nil)); err != nil {
			return
		}
		// What comes back is passed on to nobody: who was told of the other would have both.
		n.keep(&message{id: idOf(n.network, told[i]), carried: told[i]})
	}
	for i, l := range n.audience(topic) {
		l.publish(told[i%2])
		if e.both {
			l.publish(told[(i+1)%2])
		}
	}
	e.head = twins[0].Header
}

// make completes and signs a block without transactions.
func (*equivocator) make(n *node, body *wire.HeaderBody, which uint64) *wire.Block {
	binary.BigEndian.PutUint64(body.Salt[:], which)
	body.TxRoot = wire.TxRoot(nil)
	body.ShortIDsHash = wire.ShortIDsHash(wire.ShortIDs(body.Salt, nil))
	return &wire.Block{Header: wire.SignHeader(n.network, n.seat.Producer, body)}
}
