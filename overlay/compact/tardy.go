package compact

import "slices"

// What a link did with earlier blocks tells whom to ask first: one that gives some chunks and
// keeps others back costs the time of a wait with each block anew. It decides the order
// alone, so that who is slow today is asked all the same where nobody else has it.
//
// It is counted twice. Of chunks and answers, what comes in time pays for what does not; of
// blocks, it does not, or who gives four for each that it keeps back would cost a wait with
// each block for ever.
const (
	tardyEach  = 4  // for a chunk, or an answer, that was not there in time, and for a block with any
	tardyFrom  = 8  // two of them, without others that were
	tardyLimit = 64 // a link that mends has paid it off within a block of 1 MiB
	// blocksLimit is as many blocks without one until nothing of that is left.
	blocksLimit = 16
)

// late notes chunks or answers that did not come in time.
func (l *link) late(pieces int) { l.tardy = min(tardyLimit, l.tardy+tardyEach*pieces) }

// prompt notes one that did.
func (l *link) prompt() { l.tardy = max(0, l.tardy-1) }

// forgive notes a block over which nothing of it was missed: who is asked last may not have
// been asked, and is tried again in the end.
func (l *link) forgive() { l.tardy, l.blocks = max(0, l.tardy-1), max(0, l.blocks-1) }

// weigh notes who was late over a block that is over. Where more than half of those were that were
// asked for anything, it was our line, or we.
func (m *Machine) weigh(j *job) {
	var late []*link
	asked := 0
	for _, l := range m.links {
		t := j.mates[l.ID]
		switch {
		case t == nil:
			continue
		case t.late:
			late = append(late, l)
			asked++
		case !t.wanted.IsZero() || !t.coming.IsZero() || slices.ContainsFunc(j.debts, func(a *ask) bool { return a.to == l }):
			asked++
		}
	}
	if 2*len(late) > asked {
		return
	}
	for _, l := range late {
		l.blocks = min(blocksLimit, l.blocks+tardyEach)
	}
}

// rank is 0 for those that are asked first, and else 1.
func (l *link) rank() int {
	if max(l.tardy, l.blocks) >= tardyFrom {
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
