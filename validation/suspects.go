package validation

import (
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

const (
	// MaxSuspects is how many peers a Suspects remembers: several times the
	// connections of a node. One that is forgotten can spoil one more batch.
	MaxSuspects = 1024

	// SuspectFor is how long after its last bad signature a peer stays suspect:
	// the half-life of guilt in peerscore. To spoil a batch and wait costs more
	// patience than it costs us work.
	SuspectFor = 10 * time.Minute
)

// Suspects are the peers whose last bad signature is not long ago. What they
// send should be verified apart from what others send, so that it holds up
// nobody. The zero value is empty and ready. Not safe for concurrent use.
type Suspects struct {
	last  map[peerscore.PeerID]time.Time // of the last bad signature
	order []peerscore.PeerID             // the keys of last, longest ago first
}

// Note tells the outcome of checking what p sent. Only a bad signature makes
// p suspect: every other fault is found before a batch is verified. Times must
// not run backwards.
func (s *Suspects) Note(now time.Time, p peerscore.PeerID, err error) {
	if RuleBroken(err) != string(BadSignature) {
		return
	}
	s.forget(now)
	if _, known := s.last[p]; known {
		s.order = slices.DeleteFunc(s.order, func(q peerscore.PeerID) bool { return q == p })
	} else if len(s.order) == MaxSuspects {
		s.drop(1)
	}
	if s.last == nil {
		s.last = make(map[peerscore.PeerID]time.Time)
	}
	s.last[p] = now
	s.order = append(s.order, p)
}

// Has reports whether what p sends should be verified apart.
func (s *Suspects) Has(now time.Time, p peerscore.PeerID) bool {
	last, known := s.last[p]
	return known && now.Sub(last) < SuspectFor
}

// Len is the number of peers that are remembered, at most MaxSuspects.
func (s *Suspects) Len() int { return len(s.order) }

// forget drops those who have been good for long enough.
func (s *Suspects) forget(now time.Time) {
	n := 0
	for n < len(s.order) && now.Sub(s.last[s.order[n]]) >= SuspectFor {
		n++
	}
	s.drop(n)
}

// drop forgets the n whose last bad signature is longest ago.
func (s *Suspects) drop(n int) {
	for _, p := range s.order[:n] {
		delete(s.last, p)
	}
	s.order = slices.Delete(s.order, 0, n)
}
