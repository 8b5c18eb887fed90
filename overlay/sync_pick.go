package overlay

import (
	"errors"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// errSlow says that a peer gives blocks more slowly than another might. It blames nobody.
var errSlow = errors.New("overlay: slow, and another peer has the blocks")

// slice measures how quickly a peer gives blocks, in slices of time. Only what we waited
// for the peer counts, not what we took to check.
type slice struct {
	waited        time.Duration // in this slice
	blocks, bytes int

	allWaited time.Duration
	allBlocks int
	poor      bool // the last whole slice gave too little
}

func (s *slice) wait(d time.Duration) {
	s.waited += d
	s.allWaited += d
}

func (s *slice) got(bytes int) {
	s.blocks++
	s.allBlocks++
	s.bytes += bytes
}

// close ends a slice that is over, and says whether it gave too little.
func (s *slice) close(l Limits) (poor bool) {
	if s.waited < l.SyncSlice {
		return false
	}
	s.poor = s.blocks < l.SliceBlocks && s.bytes < l.SliceBytes
	s.waited, s.blocks, s.bytes = 0, 0, 0
	return s.poor
}

// pace is what a peer was last measured at.
type pace struct {
	rate float64 // blocks a second
	poor bool
}

func (s *slice) pace() pace {
	return pace{rate: float64(s.allBlocks) / max(s.allWaited, time.Millisecond).Seconds(), poor: s.poor}
}

// pick chooses whom to follow next. Peers that have shown a higher head come first: by
// turns the quickest, and one whose pace is not known yet, so that a better one is found
// soon and a bad one costs no more than every second turn. Those known to be slow are the
// last resort. A claim of one more block is simply tried.
func (s *syncer) pick() (p peer.ID, target uint64, ok bool) {
	ours := s.cfg.Chain.Head().Height
	heads := s.roster.heads()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tidyLocked(heads, time.Now())
	var quick, fresh, slow, other *member
	for i := range heads {
		m := &heads[i]
		_, sought := s.sought[m.id]
		known, measured := s.paces[m.id]
		switch {
		case s.restsLocked(m.id):
		case m.proven <= ours:
			if other == nil && (sought || m.best.height == ours+1) {
				other = m
			}
		case !measured:
			fresh = first(fresh, m)
		case known.poor:
			slow = s.quickerLocked(slow, m)
		default:
			quick = s.quickerLocked(quick, m)
		}
	}
	order := []*member{quick, fresh, slow, other}
	if s.turn++; s.turn%2 == 0 {
		order[0], order[1] = fresh, quick
	}
	for _, m := range order {
		if m != nil {
			return m.id, max(m.proven, s.sought[m.id], min(m.best.height, ours+1)), true
		}
	}
	clear(s.sought) // of peers that left, or cannot be asked now
	return "", 0, false
}

func first(a, b *member) *member {
	if a != nil {
		return a
	}
	return b
}

func (s *syncer) quickerLocked(a, b *member) *member {
	if a != nil && s.paces[a.id].rate >= s.paces[b.id].rate {
		return a
	}
	return b
}

func (s *syncer) restsLocked(p peer.ID) bool {
	_, rests := s.paused[p]
	return rests
}

// tidyLocked forgets pauses that are over, and the paces of peers that left.
func (s *syncer) tidyLocked(heads []member, now time.Time) {
	for p, until := range s.paused {
		if now.After(until) {
			delete(s.paused, p)
		}
	}
	for p := range s.paces {
		if !slices.ContainsFunc(heads, func(m member) bool { return m.id == p }) {
			delete(s.paces, p)
		}
	}
}

// measured notes the pace of a peer that was followed, if that was long enough to tell.
func (s *syncer) measured(p peer.ID, w *slice) {
	if w.allBlocks == 0 && !w.poor {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paces[p] = w.pace()
}

// better says whether another peer has shown a higher head and may be quicker than p.
func (s *syncer) better(p peer.ID, w *slice) bool {
	ours := s.cfg.Chain.Head().Height
	heads := s.roster.heads()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(heads, func(m member) bool {
		known, measured := s.paces[m.id]
		return m.id != p && m.proven > ours && !s.restsLocked(m.id) && (!measured || known.rate > w.pace().rate)
	})
}

// hurry ends the following of a peer that gave too little in a slice while another may
// give more.
func (s *syncer) hurry(p peer.ID, w *slice) error {
	if w.close(s.cfg.Limits) && s.better(p, w) {
		return errSlow
	}
	return nil
}
