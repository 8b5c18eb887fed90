package attack

import (
	"encoding/binary"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/wire"
)

// forger sends chunks of blocks that do not prove.
type forger struct {
	honest
	parts
	each int
}

func newForger(p *params) rule {
	return &forger{each: p.number("chunks", "of a block, to each peer", 4, 1, compact.MaxChunks)}
}

func (f *forger) message(n *node, m *message) {
	n.forward(m)
	c := blockIn(n, m)
	if c == nil {
		return
	}
	layout, ok := compact.LayoutOf(c.Header.Body())
	if !ok {
		return
	}
	data := make([]byte, layout.Chunk)
	binary.BigEndian.PutUint64(data, uint64(n.seat.Number)+1)
	proof := make([]wire.Hash, 7) // as many as a tree of a hundred chunks has levels
	for k := range min(f.each, layout.Total()) {
		i := k * layout.Total() / f.each
		f.tell(n, &compact.Chunk{Block: c.Header.ID(), Index: i, Data: data, Proof: proof, Pushed: true})
	}
}
