package overlay

import (
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
)

// seats are the places of one service, shared fairly: when all are taken, whoever holds two more
// than the newcomer loses the one that it has held longest. So a few peers that ask for much, or
// ask and then say nothing, keep out nobody who asks for little. It is safe for concurrent use.
type seats struct {
	total int // constant

	mu    sync.Mutex // guards what follows
	taken int
	of    map[peer.ID][]*seat // the longest held first; none of nobody
}

// seat is one place. lose ends the work of who has it.
type seat struct {
	lose func()
	lost bool
}

func newSeats(total int) *seats {
	return &seats{total: total, of: make(map[peer.ID][]*seat)}
}

// take takes a place for a peer, from another if need be, whose lose is called. The caller calls
// release once, whether or not the place was lost meanwhile.
func (s *seats) take(p peer.ID, lose func()) (release func(), ok bool) {
	s.mu.Lock()
	var loser *seat
	if s.taken == s.total {
		if loser = s.evict(len(s.of[p])); loser == nil {
			s.mu.Unlock()
			return nil, false
		}
	}
	mine := &seat{lose: lose}
	s.of[p] = append(s.of[p], mine)
	s.taken++
	s.mu.Unlock()
	if loser != nil {
		loser.lose()
	}
	return func() { s.leave(p, mine) }, true
}

// evict has the peer that holds most lose a place to one that holds so many.
func (s *seats) evict(few int) *seat {
	most := peer.ID("")
	for p, held := range s.of {
		if len(held) > len(s.of[most]) {
			most = p
		}
	}
	if len(s.of[most]) < few+2 {
		return nil
	}
	loser := s.of[most][0]
	loser.lost = true
	s.remove(most, loser)
	return loser
}

func (s *seats) leave(p peer.ID, mine *seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !mine.lost {
		s.remove(p, mine)
	}
}

func (s *seats) remove(p peer.ID, gone *seat) {
	s.taken--
	s.of[p] = slices.DeleteFunc(s.of[p], func(o *seat) bool { return o == gone })
	if len(s.of[p]) == 0 {
		delete(s.of, p)
	}
}
