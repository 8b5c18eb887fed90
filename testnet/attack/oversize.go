package attack

import (
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// oversize sends messages over the limits: transactions that are too large, in
// frames that are not, or frames that are themselves too large.
type oversize struct {
	honest
	size   int
	every  time.Duration
	last   time.Time
	number byte
}

func newOversize(p *params) rule {
	o := &oversize{size: scenario.OversizeTx, every: time.Second / time.Duration(p.number("per_second", "messages to each peer", scenario.OversizePerSecond, 1, 10))}
	if p.word("over", "which limit is broken", "transaction", "frame") == "frame" {
		o.size = scenario.OversizeFrame
	}
	return o
}

func (o *oversize) beat(n *node, now time.Time) {
	if now.Sub(o.last) < o.every {
		return
	}
	o.last = now
	o.number++
	topic := n.txTopic()
	data := make([]byte, o.size)
	data[0], data[1] = o.number, byte(n.seat.Number)
	m, err := n.compose(topic, data)
	if err != nil {
		return
	}
	for _, l := range n.audience(topic) {
		l.publish(m)
	}
}
