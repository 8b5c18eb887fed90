package overlay

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// seats are the places of one service, shared fairly: when all are taken, whoever holds two more
// than the newcomer loses the one that it has held longest. So a few peers that ask for much, or
// ask and then say nothing, keep out nobody who asks for little. Nor do many such peers keep out
// those that are ours: one that holds none takes the place that was held longest by who is not, and
// did not lose one just now. It is safe for concurrent use.
type seats struct {
	total int                  // constant
	ours  func(p peer.ID) bool // quick, called with mu held
	now   func() time.Time     // constant

	mu     sync.Mutex // guards what follows
	taken  int
	last   uint64                // serial of the place that was taken last
	of     map[peer.ID][]*seat   // the longest held first; none of nobody
	robbed map[peer.ID]time.Time // strangers that lost a place to one of ours in the last displaceGap
}

// displaceGap is how long a stranger that lost a place to one of ours loses no other so: whatever
// it asks for could be ended otherwise, time after time. An answer takes less.
const displaceGap = 5 * time.Second

// seat is one place. lose ends the work of who has it.
type seat struct {
	serial uint64 // constant
	lose   func()
	lost   bool
}

func newSeats(total int, ours func(peer.ID) bool) *seats {
	return &seats{total: total, ours: ours, now: time.Now, of: make(map[peer.ID][]*seat), robbed: make(map[peer.ID]time.Time)}
}

// take takes a place for a peer, from another if need be, whose lose is called. The caller calls
// release once, whether or not the place was lost meanwhile.
func (s *seats) take(p peer.ID, lose func()) (release func(), ok bool) {
	s.mu.Lock()
	var loser *seat
	if s.taken == s.total {
		if loser = s.evict(p); loser == nil {
			s.mu.Unlock()
			return nil, false
		}
	}
	s.last++
	mine := &seat{serial: s.last, lose: lose}
	s.of[p] = append(s.of[p], mine)
	s.taken++
	s.mu.Unlock()
	if loser != nil {
		loser.lose()
	}
	return func() { s.leave(p, mine) }, true
}

// evict has another lose a place to a peer: who holds most, if that is enough, or else who is not
// ours and has held one longest, if the peer is ours and holds none.
func (s *seats) evict(to peer.ID) *seat {
	from := peer.ID("")
	for p, held := range s.of {
		if len(held) > len(s.of[from]) {
			from = p
		}
	}
	if few := len(s.of[to]); len(s.of[from]) < few+2 {
		if few > 0 || !s.ours(to) {
			return nil
		}
		from = s.displaced()
	}
	if from == "" {
		return nil
	}
	loser := s.of[from][0]
	loser.lost = true
	s.remove(from, loser)
	return loser
}

// displaced is the stranger who loses a place to one of ours; empty if nobody does.
func (s *seats) displaced() peer.ID {
	now := s.now()
	maps.DeleteFunc(s.robbed, func(_ peer.ID, at time.Time) bool { return now.Sub(at) >= displaceGap })
	from := s.stranger()
	if from != "" {
		s.robbed[from] = now
	}
	return from
}

// stranger is who has held a place longest of those that are not ours and may lose one; empty if
// there is none.
func (s *seats) stranger() (longest peer.ID) {
	for p, held := range s.of {
		if _, spared := s.robbed[p]; !spared && (longest == "" || held[0].serial < s.of[longest][0].serial) && !s.ours(p) {
			longest = p
		}
	}
	return longest
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
