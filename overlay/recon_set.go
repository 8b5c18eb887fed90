package overlay

import (
	"hash/maphash"
	"iter"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// idChunk is how many ids are copied at a time when a set that was held fast changes.
const idChunk = 512

// idSet is a set of ids of which versions can be held fast at no cost: what a version shares
// with the set is copied when the set changes it. It is not safe for concurrent use; versions
// are.
type idSet struct {
	at     map[wire.TxID]int // place of each
	chunks []*[idChunk]wire.TxID
	shared []bool // with a version, by chunk
}

func newIDSet() *idSet { return &idSet{at: make(map[wire.TxID]int)} }

func (s *idSet) has(id wire.TxID) bool {
	_, ok := s.at[id]
	return ok
}

// add puts an id in that is not in the set.
func (s *idSet) add(id wire.TxID) {
	n := len(s.at)
	if n == len(s.chunks)*idChunk {
		s.chunks = append(s.chunks, new([idChunk]wire.TxID))
		s.shared = append(s.shared, false)
	}
	s.put(n, id)
}

// remove takes an id out that is in the set: the last one takes its place.
func (s *idSet) remove(id wire.TxID) {
	place, last := s.at[id], len(s.at)-1
	s.put(place, s.chunks[last/idChunk][last%idChunk])
	delete(s.at, id)
	if last%idChunk == 0 {
		s.chunks, s.shared = s.chunks[:last/idChunk], s.shared[:last/idChunk]
	}
}

func (s *idSet) put(place int, id wire.TxID) {
	i := place / idChunk
	if s.shared[i] {
		own := *s.chunks[i]
		s.chunks[i], s.shared[i] = &own, false
	}
	s.chunks[i][place%idChunk] = id
	s.at[id] = place
}

// version holds the set fast as it is now.
func (s *idSet) version() iter.Seq[wire.TxID] {
	chunks, left := append([]*[idChunk]wire.TxID(nil), s.chunks...), len(s.at)
	for i := range s.shared {
		s.shared[i] = true
	}
	return func(yield func(wire.TxID) bool) {
		for place := range left {
			if !yield(chunks[place/idChunk][place%idChunk]) {
				return
			}
		}
	}
}

// lately remembers ids for a while, at most so many, by hashes that nobody can foresee. It is not
// safe for concurrent use.
type lately struct {
	most  int           // constant
	while time.Duration // constant
	seed  maphash.Seed  // constant
	began time.Time     // first put
	until map[uint64]time.Duration
	order []dated // of until and some that were dropped, oldest first
}

// dated is small and without pointers, for there may be many.
type dated struct {
	id    uint64
	until time.Duration // since began
}

func newLately(most int, while time.Duration) *lately {
	return &lately{most: most, while: while, seed: maphash.MakeSeed(), until: make(map[uint64]time.Duration)}
}

func (l *lately) hash(id wire.TxID) uint64 { return maphash.Bytes(l.seed, id[:]) }

// put remembers an id from now on, and forgets what is over.
func (l *lately) put(now time.Time, id wire.TxID) {
	if l.began.IsZero() {
		l.began = now
	}
	at := now.Sub(l.began)
	d := dated{l.hash(id), at + l.while}
	l.until[d.id] = d.until
	l.order = append(l.order, d)
	for len(l.order) > l.most || len(l.order) > 0 && at >= l.order[0].until {
		d := l.order[0]
		l.order = l.order[1:]
		if until, ok := l.until[d.id]; ok && until == d.until {
			delete(l.until, d.id)
		}
	}
}

func (l *lately) drop(id wire.TxID) { delete(l.until, l.hash(id)) }

func (l *lately) has(now time.Time, id wire.TxID) bool {
	until, ok := l.until[l.hash(id)]
	return ok && now.Sub(l.began) < until
}
