package compact

import "slices"

// What a link did with earlier blocks tells whom to ask first: one that gives some chunks and
// keeps others back costs the time of a wait with each block anew. It decides the order
// alone, so that who is slow today is asked all the same where nobody else has it.
const (
	tardyEach  = 4  // for a chunk, or an answer, that was not there in time
	tardyFrom  = 8  // two of them, without others that were
	tardyLimit = 64 // a link that mends has paid it off within a block of 1 MiB
)

// late notes chunks or answers that did not come in time.
func (l *link) late(pieces int) { l.tardy = min(tardyLimit, l.tardy+tardyEach*pieces) }

// prompt notes one that did.
func (l *link) prompt() { l.tardy = max(0, l.tardy-1) }

// forgive notes a block over which nothing of it was missed: who is asked last may not have
// been asked, and is tried again in the end.
func (l *link) forgive() { l.tardy = max(0, l.tardy-1) }

// rank is 0 for those that are asked first.
func (l *link) rank() int {
	if l.tardy >= tardyFrom {
		return 1
	}
	return 0
}

// trusted are the links that are given what they alone are to spread: those that were in time
// of late, unless these are few.
func trusted(links []*link) []*link {
	fine := slices.DeleteFunc(slices.Clone(links), func(l *link) bool { return l.rank() > 0 })
	if 2*len(fine) < len(links) {
		return links
	}
	return fine
}
