package mempool

import (
	"iter"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Match yields the pooled transactions whose short ids under a block's salt are among
// want, in no order: of one short id there may be several, and one may be named twice. It
// takes one hash for each pooled transaction. The pool must not change meanwhile.
func (p *Pool) Match(salt wire.Salt, want []wire.ShortID) iter.Seq[validation.CheckedTx] {
	return func(yield func(validation.CheckedTx) bool) {
		if len(want) == 0 {
			return
		}
		wanted := newWanted(want)
		for n := range p.entries.used {
			e := p.entries.at(n)
			if !e.tx.IsZero() && wanted.has(wire.ShortIDOf(salt, e.id())) && !yield(e.tx) {
				return
			}
		}
	}
}

// wanted finds short ids in a list. Nearly all that are looked up are not in
// it, so two of their bytes are looked up in a bitmap first.
type wanted struct {
	bitmap [1 << 10]uint64
	ids    map[wire.ShortID]struct{}
}

func newWanted(want []wire.ShortID) *wanted {
	w := &wanted{ids: make(map[wire.ShortID]struct{}, len(want))}
	for _, id := range want {
		w.ids[id] = struct{}{}
		word, bit := slot(id)
		w.bitmap[word] |= bit
	}
	return w
}

func (w *wanted) has(id wire.ShortID) bool {
	word, bit := slot(id)
	if w.bitmap[word]&bit == 0 {
		return false
	}
	_, ok := w.ids[id]
	return ok
}

func slot(id wire.ShortID) (word int, bit uint64) {
	return int(id[0]) | int(id[1]&3)<<8, 1 << (id[1] >> 2)
}
