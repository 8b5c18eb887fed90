package mempool

import (
	"iter"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Recent remembers the last transactions that left a pool, or were refused by it: a block
// may hold them all the same, such as one beside the block that took them. It is bounded by
// number and bytes, and the oldest are forgotten. It is not safe for concurrent use.
type Recent struct {
	maxCount, maxBytes int // constant

	order []validation.CheckedTx // oldest first
	known map[wire.TxID]struct{}
	bytes int
}

// NewRecent returns an empty memory of so many transactions, and so many bytes of them.
func NewRecent(maxCount, maxBytes int) *Recent {
	return &Recent{maxCount: maxCount, maxBytes: maxBytes, known: make(map[wire.TxID]struct{})}
}

// Add remembers tx, which must hold no memory but its own ([validation.CheckedTx.Clone]).
func (r *Recent) Add(tx validation.CheckedTx) {
	if _, known := r.known[tx.ID()]; known || tx.IsZero() {
		return
	}
	r.known[tx.ID()] = struct{}{}
	r.order = append(r.order, tx)
	r.bytes += tx.Size()
	for len(r.order) > r.maxCount || r.bytes > r.maxBytes {
		old := r.order[0]
		r.order[0] = validation.CheckedTx{}
		r.order = r.order[1:]
		r.bytes -= old.Size()
		delete(r.known, old.ID())
	}
}

// Has reports whether a transaction is remembered.
func (r *Recent) Has(id wire.TxID) bool {
	_, ok := r.known[id]
	return ok
}

// Match is Pool.Match for what is remembered.
func (r *Recent) Match(salt wire.Salt, want []wire.ShortID) iter.Seq[validation.CheckedTx] {
	return func(yield func(validation.CheckedTx) bool) {
		if len(want) == 0 {
			return
		}
		wanted := newWanted(want)
		for _, tx := range r.order {
			if wanted.has(wire.ShortIDOf(salt, tx.ID())) && !yield(tx) {
				return
			}
		}
	}
}
