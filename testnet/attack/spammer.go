package attack

import (
	"encoding/binary"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/shapes"
	"github.com/grapevine-p2p/grapevine/wire"
)

// spammer sends transactions whose signatures are wrong, each another one.
type spammer struct {
	honest
	perSecond int
	sender    wire.Address
	sent      uint64
}

func newSpammer(p *params) rule {
	return &spammer{perSecond: p.number("per_second", 50, 1, 100_000), sender: shapes.Address(shapes.Wallets(0, 1)[0])}
}

func (s *spammer) beat(n *node, _ time.Time) {
	topic := n.txTopic()
	for range perBeat(s.perSecond) {
		s.sent++
		m, err := n.compose(topic, s.forge(n.seat.Number))
		if err != nil {
			return
		}
		for _, l := range n.audience(topic) {
			l.publish(m)
		}
	}
}

// forge makes a transaction that is right in all but its signature.
func (s *spammer) forge(seat int) []byte {
	payload := binary.BigEndian.AppendUint64(make([]byte, 112), uint64(seat))
	body := &wire.TxBody{
		Version: wire.TxVersion, Sender: s.sender, Payload: binary.BigEndian.AppendUint64(payload, s.sent),
	}
	var wrong wire.Signature
	binary.BigEndian.PutUint64(wrong[:], s.sent)
	return wire.NewTransaction(body.AppendTo(nil), wrong).Bytes()
}

// perBeat is how often something happens in one beat that is to happen so
// often in a second.
func perBeat(perSecond int) int { return max(1, perSecond*int(beatEvery/time.Millisecond)/1000) }
