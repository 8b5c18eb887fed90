package peerscore

import (
	"cmp"

	"github.com/tidwall/btree"
)

// shelf is a bounded set of names (peers or prefixes) in the order of a rank.
// At the bound the name of lowest rank makes room; ties go by name, so that the
// choice does not depend on map order.
type shelf[R cmp.Ordered] struct {
	limit int // constant

	ranks map[PeerID]R
	order *btree.BTreeG[place[R]]
}

type place[R cmp.Ordered] struct {
	rank R
	peer PeerID
}

func newShelf[R cmp.Ordered](limit int) shelf[R] {
	less := func(a, b place[R]) bool {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.peer, b.peer)) < 0
	}
	return shelf[R]{
		limit: limit,
		ranks: make(map[PeerID]R),
		order: btree.NewBTreeGOptions(less, btree.Options{NoLocks: true}),
	}
}

func (s *shelf[R]) len() int { return len(s.ranks) }

func (s *shelf[R]) rank(p PeerID) (R, bool) {
	r, ok := s.ranks[p]
	return r, ok
}

// put gives p a rank. A newcomer to a full shelf takes the place of the lowest
// of the others, who is returned.
func (s *shelf[R]) put(p PeerID, rank R) (lost PeerID, full bool) {
	if old, ok := s.ranks[p]; ok {
		s.order.Delete(place[R]{old, p})
	} else if len(s.ranks) >= s.limit {
		lowest, _ := s.order.PopMin()
		delete(s.ranks, lowest.peer)
		lost, full = lowest.peer, true
	}
	s.ranks[p] = rank
	s.order.Set(place[R]{rank, p})
	return lost, full
}

func (s *shelf[R]) drop(p PeerID) {
	if old, ok := s.ranks[p]; ok {
		s.order.Delete(place[R]{old, p})
		delete(s.ranks, p)
	}
}

// lowest is the peer of lowest rank.
func (s *shelf[R]) lowest() (p PeerID, rank R, ok bool) {
	first, ok := s.order.Min()
	return first.peer, first.rank, ok
}
