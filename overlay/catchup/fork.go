package catchup

import (
	"bytes"
	"cmp"
)

// Slots is a Chain that tells the slots of its blocks, so that of branches as long as ours
// only those are fetched that are better.
type Slots interface {
	// SlotAt is the slot of the block of the best chain at a height from 1 on.
	SlotAt(height uint64) (uint64, bool)
}

// hopeless says whether the branch of a source cannot become the best chain, as far as is
// known of it. A branch that grows is looked at again.
func (s *Scheduler) hopeless(src *source) bool {
	p := src.goal
	top := max(src.reach(), p.leaf().Height)
	if top != s.head.Height {
		return top < s.head.Height
	}
	if p.judged != s.head.ID {
		p.judged, p.loses = s.head.ID, s.loses(p)
	}
	return p.loses
}

// loses says whether our chain is the better one of two as long: where they part, it has the
// lower slot, or of equal slots the lower id. Where a branch does not part from the best
// chain itself, that is not known before its blocks are.
func (s *Scheduler) loses(p *path) bool {
	slots, ok := s.chain.(Slots)
	if !ok || p.left() == 0 {
		return false
	}
	first := p.nodes[p.done]
	parent, ok := s.genesis, true
	if first.Height > 1 {
		parent, ok = s.chain.BlockAt(first.Height - 1)
	}
	if !ok || parent != first.Parent {
		return false
	}
	ours, ok := s.chain.BlockAt(first.Height)
	if !ok {
		return false
	}
	slot, ok := slots.SlotAt(first.Height)
	return ok && cmp.Or(cmp.Compare(slot, first.Slot), bytes.Compare(ours[:], first.ID[:])) <= 0
}
