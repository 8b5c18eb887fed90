package overlay

import (
	"math/rand/v2"
	"time"
)

const (
	// namesPicked is of how many ids of a frame, about, it is looked up whether they are here.
	namesPicked = 64
	// nameBytes is what an id takes in a frame.
	nameBytes = messageIDSize + 2

	// strangeGap is how long nothing comes from anybody before what comes next may be all that
	// was said meanwhile: more than two heartbeats. Our line stood still, or we did.
	strangeGap = 3 * time.Second
	// strangeLate is within what time after a gap that comes.
	strangeLate = 5 * time.Second
	// strangePerGap is what a router names in a second of a gap, at most.
	strangePerGap = 5_000

	// strangeUnits is what a strange id over the budget weighs.
	strangeUnits = 2
)

// names are the ids by which a frame names messages: those that it announces (IHAVE) and
// those that it forbids (IDONTWANT).
type names struct {
	bytes  int // of all in the frame that is no message
	all    int
	stride int      // one of so many is picked
	phase  int      // which one nobody can foresee
	picked [][]byte // into the frame
}

// newNames is for a frame of that many bytes.
func newNames(frame int) *names {
	stride := max(1, frame/(nameBytes*namesPicked))
	return &names{stride: stride, phase: rand.IntN(stride)}
}

func (n *names) note(id []byte) {
	if n.all%n.stride == n.phase {
		n.picked = append(n.picked, id)
	}
	n.all++
}

// share is how many of all it are, to judge by some of those that were picked.
func (n *names) share(some int) int {
	if len(n.picked) == 0 {
		return 0
	}
	return n.all * some / len(n.picked)
}

// doubts are what the ids of a frame are measured by.
type doubts struct {
	strange int           // that are not here
	room    int           // that the peer would be asked for at once
	came    uint64        // messages so far, from anybody
	gap     time.Duration // for which nothing came from anybody, lately
	ended   time.Time     // when that ended
}

// strangeLimits are how many strange ids a peer may name.
type strangeLimits struct{ perSecond, perMessage, burst, afterGap float64 }

// strange is the budget of a peer of ids that are not here when it names them. Whoever has a
// message can name it before it comes, but it does come: so what comes in fills the budget,
// and who makes up ids empties it. The zero value is full.
type strange struct {
	spent float64   // below zero: a gap left more than is there otherwise
	gap   time.Time // the end of the last one that did
	asked time.Time // when the budget was last asked,
	came  uint64    // and how many messages had come by then
}

// doubt holds ids of which some are strange against the budget of these. What is over it is
// cut out, and so is what the peer would not be asked for.
func (a *admission) doubt(now time.Time, r *ruling, ids int, d doubts) {
	if d.strange == 0 {
		return
	}
	a.mu.Lock()
	over := a.strange.take(now, a.limits, d)
	a.mu.Unlock()
	if d.strange > d.room {
		r.keep.ids = min(r.keep.ids, ids*d.room/d.strange)
	}
	r.keep.ids = max(0, min(r.keep.ids, ids-over))
	charges, cut := a.exceed(now, over*strangeUnits)
	r.charges, r.cut = r.charges+charges, r.cut || cut
}

// take returns by how much strange ids are over the budget.
func (s *strange) take(now time.Time, l strangeLimits, d doubts) (over int) {
	if s.spent > 0 {
		came := d.came - min(s.came, d.came) // fewer: they are counted anew
		s.spent = max(0, s.spent-now.Sub(s.asked).Seconds()*l.perSecond-float64(came)*l.perMessage)
	}
	s.asked, s.came = now, d.came
	switch lately := now.Sub(d.ended) <= strangeLate; {
	case !lately:
		s.spent = max(0, s.spent)
	case !d.ended.Equal(s.gap):
		s.gap = d.ended
		s.spent = max(l.burst-l.afterGap, s.spent-d.gap.Seconds()*strangePerGap)
	}
	over = max(0, d.strange-int(l.burst-s.spent))
	s.spent += float64(d.strange - over)
	return over
}
