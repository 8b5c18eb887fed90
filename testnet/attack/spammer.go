package attack

import (
	"encoding/binary"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/shapes"
	"github.com/grapevine-p2p/grapevine/wire"
)

// spammer sends transactions whose signatures are wrong, each another one.
type spammer struct {
	honest
	pace   pace
	sender wire.Address
	sent   uint64
}

func newSpammer(p *params) rule {
	return &spammer{
		pace:   pace{perSecond: p.number("per_second", "transactions to each peer", scenario.ForgedPerSecond, 1, 100_000)},
		sender: shapes.Address(shapes.Wallets(0, 1)[0]),
	}
}

func (s *spammer) beat(n *node, now time.Time) {
	topic := n.txTopic()
	n.publish(topic, s.pace.due(now), func() []byte {
		s.sent++
		return s.forge(n)
	})
}

// forge makes a transaction that is right in all but its signature: paying too
// little is another fault, and one that is cheaper to see.
func (s *spammer) forge(n *node) []byte {
	payload := binary.BigEndian.AppendUint64(make([]byte, 112), uint64(n.seat.Number))
	body := &wire.TxBody{
		Version: wire.TxVersion, Sender: s.sender, Payload: binary.BigEndian.AppendUint64(payload, s.sent),
		Fee: n.seat.Genesis.Limits.MinFeePerByte * scenario.ForgedSize,
	}
	var wrong wire.Signature
	binary.BigEndian.PutUint64(wrong[:], s.sent)
	return wire.NewTransaction(body.AppendTo(nil), wrong).Bytes()
}
