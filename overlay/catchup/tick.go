package catchup

import (
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Out is what the caller is to do now.
type Out struct {
	Cancel []Cancel       // give these up
	Drop   []wire.BlockID // forget these bodies
	Add    []wire.BlockID // add these blocks to the chain, in this order
	Ask    []Ask          // send these
	Next   time.Time      // call Tick then at the latest; zero: not until something is told
}

// Tick decides what is to be done now.
func (s *Scheduler) Tick(now time.Time) Out {
	s.excuse(now)
	s.head = s.chain.Head()
	s.notice()
	var out Out
	active := s.active(now)
	s.expire(now, active, &out)
	s.giveUpNeedless(now, &out)
	if now.Before(s.paused) {
		out.Next = s.paused
	} else {
		s.name(&out)
		active = s.active(now)
		s.used, s.target = len(active), 0
		for _, src := range active {
			s.target = max(s.target, src.reach())
		}
		s.aim(now, active)
		for _, src := range active {
			src.refill(now, s.cfg)
			s.askHeaders(now, src, &out)
		}
		for _, src := range active {
			for s.askBlocks(now, src, active, &out) {
			}
		}
	}
	out.Drop, s.drops = s.drops, nil
	out.Next = earliest(out.Next, s.wake(now, active))
	s.due = out.Next
	return out
}

// notice finds out which blocks came into the chain by another way.
func (s *Scheduler) notice() {
	for _, p := range slices.Clone(s.tree.paths) {
		for p.left() > 0 && s.chain.HasBlock(p.nodes[p.done].ID) {
			n := p.nodes[p.done]
			s.gone(n)
			s.uncharge(n)
			s.tree.finish(n)
		}
	}
}

// excuse gives everybody the time for which we were away ourselves.
func (s *Scheduler) excuse(now time.Time) {
	late := now.Sub(s.ticked)
	s.ticked = now
	if s.due.IsZero() || now.Sub(s.due) < s.cfg.Patience/4 {
		return
	}
	for _, r := range s.open {
		r.at, r.progress = r.at.Add(late), r.progress.Add(late)
	}
}

// earliest is the earlier of two times that may be zero, which is never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// useful says whether a peer may have something that we lack.
func (s *Scheduler) useful(src *source) bool {
	return src.sought || src.more || src.Height > s.head.Height
}

// active lists the peers to be used now, the best first.
func (s *Scheduler) active(now time.Time) []*source {
	var list []*source
	for _, src := range s.order {
		switch {
		case !s.useful(src):
			src.probed, src.vouched, src.at, src.lacks = false, nil, Ref{}, nil
		case !now.Before(src.rests):
			list = append(list, src)
		}
	}
	slices.SortStableFunc(list, (*source).before)
	return list[:min(len(list), s.cfg.MaxSources)]
}

// expire gives up requests that take too long.
func (s *Scheduler) expire(now time.Time, active []*source, out *Out) {
	for _, r := range slices.Clone(s.open) {
		if !now.Before(s.deadline(r, active)) {
			s.giveUp(now, r, Late, out)
		}
	}
}

// giveUpNeedless gives up requests for blocks of which none is wanted any more.
func (s *Scheduler) giveUpNeedless(now time.Time, out *Out) {
	for _, r := range slices.Clone(s.open) {
		if !r.needed() {
			s.giveUp(now, r, Needless, out)
		}
	}
}

func (s *Scheduler) giveUp(now time.Time, r *request, why Why, out *Out) {
	out.Cancel = append(out.Cancel, Cancel{r.id, r.from.Peer, why})
	s.Failed(now, r.id, why)
}

// deadline is when a request is given up unless more comes: after Patience without
// anything; and, where others can take it over, as soon as what came is less than the
// least rate would have brought.
func (s *Scheduler) deadline(r *request, active []*source) time.Time {
	at := r.progress.Add(s.cfg.Patience)
	if rate, others := s.leastRate(r, active); others {
		grace := s.cfg.Patience + time.Duration(float64(r.got)/rate*float64(time.Second))
		at = earliest(at, r.at.Add(grace))
	}
	return at
}

// slower is how many times slower than the quickest a peer may be.
const slower = 8

// leastRate is what a request must bring, if there are others to turn to.
func (s *Scheduler) leastRate(r *request, active []*source) (rate float64, others bool) {
	rate = float64(s.cfg.MinRate)
	for _, o := range active {
		if o == r.from || !r.headers() && o.reach() < r.nodes[min(r.came, len(r.nodes)-1)].Height {
			continue
		}
		others = true
		if !r.headers() {
			rate = max(rate, o.rate/slower)
		}
	}
	return rate, others
}

// name tells which blocks can be added: those whose parents are, or are named before.
func (s *Scheduler) name(out *Out) {
	for _, p := range s.tree.paths {
		for ; p.named < len(p.nodes); p.named++ {
			n := p.nodes[p.named]
			if n.state < held {
				break
			}
			if n.state == held {
				n.state = named
				out.Add = append(out.Add, n.ID)
			}
		}
	}
}

// aim finds the branch on which each peer is used: the highest of those that it may have.
func (s *Scheduler) aim(now time.Time, active []*source) {
	for _, src := range active {
		for len(src.lacks) > 0 && !now.Before(src.lacks[0].until) {
			src.lacks = src.lacks[1:]
			src.stale = true
		}
		src.settle()
		if src.version == s.tree.version && !src.stale && (src.goal == nil || src.reaches(src.goal)) {
			continue
		}
		src.version, src.stale, src.goal = s.tree.version, false, nil
		for _, p := range s.tree.paths {
			switch {
			case !src.mayHave(p), !src.reaches(p), src.lacking(p, now):
			case src.goal == nil || p.leaf().Height > src.goal.leaf().Height:
				src.goal = p
			}
		}
	}
}

// wake is when Tick has something to do if nothing is told.
func (s *Scheduler) wake(now time.Time, active []*source) (at time.Time) {
	for _, r := range s.open {
		at = earliest(at, s.deadline(r, active))
	}
	for _, src := range s.order {
		if !s.useful(src) {
			continue
		}
		if now.Before(src.rests) {
			at = earliest(at, src.rests)
		}
	}
	for _, src := range active {
		if src.tokens < 1 {
			wait := (1 - src.tokens) / float64(s.cfg.AsksPerSecond)
			at = earliest(at, now.Add(time.Duration(wait*float64(time.Second))+time.Millisecond))
		}
		if len(src.lacks) > 0 {
			at = earliest(at, src.lacks[0].until)
		}
	}
	return at
}

// prune drops the branches that no active peer is used on.
func (s *Scheduler) prune(now time.Time, active []*source) {
	s.aim(now, active)
	for _, p := range slices.Clone(s.tree.paths) {
		if !slices.ContainsFunc(active, func(src *source) bool { return src.goal == p }) {
			s.tree.prune(p, s.gone)
		}
	}
}
