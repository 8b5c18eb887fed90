package attack

import (
	"crypto/ed25519"
	"encoding/binary"
	"time"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/testnet/shapes"
	"github.com/grapevine-p2p/grapevine/wire"
)

// pretender makes blocks without being a producer, each well signed with its own key.
type pretender struct {
	honest
	pace pace
	key  ed25519.PrivateKey
	head *wire.Header // the highest it heard of; nil before the first
	sent uint64
}

func newPretender(p *params) rule {
	return &pretender{
		pace: pace{perSecond: p.number("per_second", "headers to each peer", 1000, 1, 100_000)},
		key:  shapes.Wallets(1<<62, 1)[0],
	}
}

func (h *pretender) message(n *node, m *message) {
	n.forward(m)
	if c := blockIn(n, m); c != nil && (h.head == nil || c.Header.Body().Height > h.head.Body().Height) {
		h.head = c.Header
	}
}

func (h *pretender) beat(n *node, now time.Time) {
	n.publish(overlay.BlockTopic(n.network), h.pace.due(now), func() []byte {
		h.sent++
		return h.make(n, now)
	})
}

func (h *pretender) make(n *node, now time.Time) []byte {
	g, self := n.seat.Genesis, shapes.Address(h.key)
	slot, _ := g.SlotAt(uint64(now.UnixMilli()))
	height, parent := uint64(1), n.network.GenesisBlock()
	if h.head != nil {
		height, parent = h.head.Body().Height+1, h.head.ID()
	}
	body := &wire.HeaderBody{
		Version: g.VersionAt(height), Height: height, Parent: parent, Producer: self, FeeRecipient: self,
		Slot: slot, Time: uint64(now.UnixMilli()), TxRoot: wire.TxRoot(nil),
	}
	binary.BigEndian.PutUint64(body.Salt[:], h.sent)
	body.ShortIDsHash = wire.ShortIDsHash(nil)
	return (&wire.CompactBlock{Header: wire.SignHeader(n.network, h.key, body)}).AppendTo(nil)
}
