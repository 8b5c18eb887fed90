package compact

import (
	"slices"

	"github.com/grapevine-p2p/grapevine/wire"
)

// room makes a place for one more block. whole says whether nothing is missing of it, and takes
// its time to.
//
// Places are shared among producers: one that signs headers of bodies that it keeps back, or lets
// trickle, gets those that nobody needs, and none that another does. Where blocks are served
// from the others, half of the places at most are for what is under way of one producer;
// where all are under way, a block takes the place of one whose producer has two more there. One
// that is whole is not under way for long, and takes a place of whoever has most.
func (m *Machine) room(j *job, whole func() bool) bool {
	if len(m.order) < m.cfg.Blocks {
		return true
	}
	theirs := m.underWay(j.header.Producer)
	k := slices.IndexFunc(m.order, func(j *job) bool { return j.over }) // the oldest
	switch {
	case k < 0 && whole():
		k = m.crowding(1)
	case k < 0:
		k = m.crowding(theirs + 2)
	case theirs >= max(1, m.cfg.Blocks/2) && !whole():
		return false
	}
	if k < 0 {
		return false
	}
	old := m.order[k]
	if !old.over {
		m.giveUp(old, TooMany)
	}
	m.forget(old)
	m.lend(old)
	return true
}

// underWay is how many blocks of a producer are being put together.
func (m *Machine) underWay(by wire.Address) (n int) {
	for _, j := range m.order {
		if !j.over && j.header.Producer == by {
			n++
		}
	}
	return n
}

// crowding is the block under way that goes first: of those of the producer that has most of
// them, and least at least, the one that has come the least far for its age, and so would be
// given up the soonest. It is -1 where no producer has as many.
func (m *Machine) crowding(least int) (k int) {
	k = -1
	for i, j := range m.order {
		if j.over {
			continue
		}
		n := m.underWay(j.header.Producer)
		if n > least || n == least && (k < 0 || j.ends.Before(m.order[k].ends)) {
			k, least = i, n
		}
	}
	return k
}
