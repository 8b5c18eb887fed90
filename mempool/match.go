package mempool

import (
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Match finds pooled transactions by their short ids under a block's salt, in
// the order of want. The zero CheckedTx stands where the pool has none of that
// id, where it has several, and where want names the id twice. It takes one
// hash for each pooled transaction.
func (p *Pool) Match(salt wire.Salt, want []wire.ShortID) []validation.CheckedTx {
	found := make([]validation.CheckedTx, len(want))
	if len(want) == 0 {
		return found
	}
	wanted := newWanted(want)
	ambiguous := make([]bool, len(want))
	for n := range p.entries.used {
		e := p.entries.at(n)
		if e.tx.IsZero() {
			continue
		}
		i, ok := wanted.index(wire.ShortIDOf(salt, e.id()))
		switch {
		case !ok:
		case found[i].IsZero():
			found[i] = e.tx
		default:
			ambiguous[i] = true
		}
	}
	for i := range found {
		if ambiguous[i] {
			found[i] = validation.CheckedTx{}
		}
	}
	return found
}

// wanted finds short ids in a list. Nearly all that are looked up are not in
// it, so two of their bytes are looked up in a bitmap first.
type wanted struct {
	bitmap [1 << 10]uint64
	at     map[wire.ShortID]int
}

func newWanted(want []wire.ShortID) *wanted {
	w := &wanted{at: make(map[wire.ShortID]int, len(want))}
	for i, id := range want {
		if _, twice := w.at[id]; twice {
			w.at[id] = -1
			continue
		}
		w.at[id] = i
		word, bit := slot(id)
		w.bitmap[word] |= bit
	}
	return w
}

func (w *wanted) index(id wire.ShortID) (i int, ok bool) {
	word, bit := slot(id)
	if w.bitmap[word]&bit == 0 {
		return 0, false
	}
	i, ok = w.at[id]
	return i, ok && i >= 0
}

func slot(id wire.ShortID) (word int, bit uint64) {
	return int(id[0]) | int(id[1]&3)<<8, 1 << (id[1] >> 2)
}
