package attack

import (
	"slices"

	"github.com/grapevine-p2p/grapevine/wire"
)

// tamperer passes on every block with a list of short ids that is not the one that its
// header signs: who believed it would put another body together.
type tamperer struct{ honest }

func newTamperer(*params) rule { return new(tamperer) }

func (t *tamperer) message(n *node, m *message) {
	c := blockIn(n, m)
	if c == nil {
		n.forward(m)
		return
	}
	ids := slices.Clone(c.ShortIDs)
	if len(ids) == 0 {
		ids = []wire.ShortID{{}}
	}
	ids[len(ids)/2][0] ^= 1
	other, err := n.compose(m.carried.GetTopic(), (&wire.CompactBlock{Header: c.Header, ShortIDs: ids}).AppendTo(nil))
	if err != nil {
		return
	}
	for _, l := range n.audience(m.carried.GetTopic()) {
		if l.peer != m.from.peer {
			l.publish(other)
		}
	}
}
