package node

import (
	"maps"

	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// blockNote is what is remembered of a block beside its place.
type blockNote struct {
	height   uint64
	producer wire.Address
	txCount  uint32
	arrived  uint64 // unix milliseconds; 0 if before this start
}

// blockNotes are of the blocks above the final one, which bounds them.
type blockNotes map[wire.BlockID]blockNote

func (n blockNotes) put(h *wire.Header, arrived uint64) {
	b := h.Body()
	n[h.ID()] = blockNote{height: b.Height, producer: b.Producer, txCount: b.TxCount, arrived: arrived}
}

// copyOf returns the notes of the blocks that c names.
func (n blockNotes) copyOf(c *ledger.Change) blockNotes {
	some := make(blockNotes)
	for _, refs := range [][]ledger.Ref{c.RolledBack, c.Applied, c.NewlyFinal} {
		for _, r := range refs {
			some[r.ID] = n[r.ID]
		}
	}
	return some
}

func (n blockNotes) prune(final uint64) {
	maps.DeleteFunc(n, func(_ wire.BlockID, note blockNote) bool { return note.height <= final })
}
