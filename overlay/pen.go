package overlay

import (
	"cmp"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
)

// penBounds bound what waits in a pen.
type penBounds struct {
	items, bytes         int // in all
	peerItems, peerBytes int // of one peer
}

// pen keeps what came too early, within bounds in all and per peer. At a bound in all the
// peer that holds most of what is short, items or bytes, loses, its newest first: what a peer
// sends can cost it places of its own, and those of who holds more than it, but never one of a
// peer that holds less.
// It is not safe for concurrent use.
type pen[T any] struct {
	bounds penBounds // constant
	items  []penned[T]
	use    map[peer.ID]usage
	bytes  int
	serial uint64 // of the last item
}

// penned is one item of a pen. Its serial tells it from all others.
type penned[T any] struct {
	serial uint64
	from   peer.ID
	size   int
	what   T
}

// usage is what one peer has in a pen.
type usage struct{ items, bytes int }

func newPen[T any](b penBounds) *pen[T] {
	return &pen[T]{bounds: b, use: make(map[peer.ID]usage)}
}

// put adds an item, and says whose items the pen lost for it, one by one. If its own sender is
// among them, it is the one that found no place.
func (p *pen[T]) put(from peer.ID, size int, what T) (lost []peer.ID) {
	mine := p.use[from]
	if mine.items >= p.bounds.peerItems || mine.bytes+size > p.bounds.peerBytes {
		return []peer.ID{from}
	}
	p.serial++
	p.items = append(p.items, penned[T]{p.serial, from, size, what})
	p.use[from] = usage{mine.items + 1, mine.bytes + size}
	p.bytes += size
	for len(p.items) > p.bounds.items || p.bytes > p.bounds.bytes {
		short := func(u usage) int { return u.items }
		if len(p.items) <= p.bounds.items {
			short = func(u usage) int { return u.bytes }
		}
		loser := p.most(short)
		p.evict(loser)
		lost = append(lost, loser)
	}
	return lost
}

// most is the peer that uses most; of equals the one whose newest item is newer, so that a
// newcomer displaces nobody who uses as much.
func (p *pen[T]) most(of func(usage) int) (peer peer.ID) {
	most := -1
	for _, item := range slices.Backward(p.items) {
		if used := of(p.use[item.from]); used > most {
			peer, most = item.from, used
		}
	}
	return peer
}

// evict drops the newest item of a peer.
func (p *pen[T]) evict(from peer.ID) {
	for _, item := range slices.Backward(p.items) {
		if item.from == from {
			p.drop(item.serial)
			return
		}
	}
}

// drop takes out an item by its serial.
func (p *pen[T]) drop(serial uint64) {
	if i, ok := p.index(serial); ok {
		item := p.items[i]
		p.items = slices.Delete(p.items, i, i+1)
		p.gone(item)
	}
}

func (p *pen[T]) gone(item penned[T]) {
	u := p.use[item.from]
	u.items--
	u.bytes -= item.size
	p.bytes -= item.size
	if u.items == 0 {
		delete(p.use, item.from)
		return
	}
	p.use[item.from] = u
}

// remove takes out and returns what is chosen, oldest first.
func (p *pen[T]) remove(which func(penned[T]) bool) (out []penned[T]) {
	p.items = slices.DeleteFunc(p.items, func(item penned[T]) bool {
		if !which(item) {
			return false
		}
		out = append(out, item)
		p.gone(item)
		return true
	})
	return out
}

// at finds an item by its serial. It may be changed where it is, but not in size.
func (p *pen[T]) at(serial uint64) (*penned[T], bool) {
	i, ok := p.index(serial)
	if !ok {
		return nil, false
	}
	return &p.items[i], true
}

func (p *pen[T]) index(serial uint64) (int, bool) {
	return slices.BinarySearchFunc(p.items, serial, func(item penned[T], serial uint64) int {
		return cmp.Compare(item.serial, serial)
	})
}
