package core

import "time"

// seen remembers which content came by, for a while and up to a bound, and
// holds what it can still hand out.
type seen struct {
	ttl   time.Duration
	bound int

	held  map[ID]*Message // nil for what is only remembered, bad for what proved a fault
	order []sighting      // oldest first
}

// bad stands for content that nobody honest sends.
var bad = &Message{}

type sighting struct {
	id ID
	at time.Duration
}

func newSeen(ttl time.Duration, bound int) seen {
	return seen{ttl: ttl, bound: bound, held: make(map[ID]*Message)}
}

func (s *seen) has(id ID) bool {
	_, ok := s.held[id]
	return ok
}

// add remembers id; it is false for one that is remembered already.
func (s *seen) add(now time.Duration, id ID) bool {
	if s.has(id) {
		return false
	}
	if len(s.order) == s.bound {
		s.forget(1)
	}
	s.held[id] = nil
	s.order = append(s.order, sighting{id, now})
	return true
}

// expire forgets what is older than the time to live.
func (s *seen) expire(now time.Duration) {
	n := 0
	for n < len(s.order) && now-s.order[n].at > s.ttl {
		n++
	}
	s.forget(n)
}

func (s *seen) forget(n int) {
	for _, old := range s.order[:n] {
		delete(s.held, old.id)
	}
	s.order = s.order[n:] // append moves what is left when room runs out
}

// isBad says whether the id is remembered as that of bad content.
func (s *seen) isBad(id ID) bool { return s.held[id] == bad }

// hold keeps m ready to hand out; release ends that.
func (s *seen) hold(m *Message)    { s.put(m.ID, m) }
func (s *seen) release(m *Message) { s.put(m.ID, nil) }
func (s *seen) condemn(id ID)      { s.put(id, bad) }

func (s *seen) put(id ID, m *Message) {
	if s.has(id) {
		s.held[id] = m
	}
}
