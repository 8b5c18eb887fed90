package catchup

import (
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Progress tells that bytes of an answer came.
func (s *Scheduler) Progress(now time.Time, id uint64, bytes int) {
	if r := s.requests[id]; r != nil {
		r.progress = now
		r.got += bytes
		if !r.headers() {
			r.from.got += bytes
		}
	}
}

// Headers tells of headers of an answer, in the order in which they came. A Fault is the
// peer's; nothing is kept then.
func (s *Scheduler) Headers(now time.Time, id uint64, list []Header) error {
	r := s.requests[id]
	switch {
	case r == nil || len(list) == 0:
		return nil
	case !r.headers() || r.came+len(list) > r.count:
		return NotAsked
	}
	if err := r.link(list); err != nil {
		return err
	}
	first := r.came == 0
	r.came += len(list)
	r.last, r.slot = Ref{list[len(list)-1].ID, list[len(list)-1].Height}, list[len(list)-1].Slot
	r.from.Height = max(r.from.Height, r.last.Height)
	if first {
		r.parent = s.tree.nodes[list[0].Parent]
		if r.parent == nil {
			r.from.at = Ref{list[0].Parent, list[0].Height - 1}
		}
		r.from.vouched = r.parent // what it vouched for before may be of a chain that it left
	}
	for len(list) > 0 {
		if n := s.tree.nodes[list[0].ID]; n != nil {
			r.parent = n
		} else if !r.parent.live() && s.chain.HasBlock(list[0].ID) {
			r.parent = nil
		} else {
			break
		}
		list = list[1:]
	}
	switch {
	case len(list) > 0:
		s.insert(now, r, list)
	case r.parent.live():
		r.from.vouched = r.parent
	default:
		r.from.at = r.last
	}
	r.from.stale = true
	return nil
}

// link checks that headers follow what was asked for and each other.
func (r *request) link(list []Header) error {
	last, slot := r.last, r.slot
	if r.came == 0 {
		i := slices.IndexFunc(r.locator, func(ref Ref) bool { return ref.ID == list[0].Parent })
		if i < 0 {
			return NotAsked
		}
		last, slot = r.locator[i], 0
	}
	for _, h := range list {
		if h.Parent != last.ID || h.Height != last.Height+1 || h.Slot <= slot {
			return Unlinked
		}
		last, slot = Ref{h.ID, h.Height}, h.Slot
	}
	return nil
}

// insert takes headers that are news, if there is room for them.
func (s *Scheduler) insert(now time.Time, r *request, list []Header) {
	src := r.from
	if !r.parent.live() || r.parent.ID != list[0].Parent {
		r.parent = nil
		if !s.chain.HasBlock(list[0].Parent) {
			src.at = Ref{} // what they follow was dropped meanwhile, and is to be told again
			return
		}
	}
	if slices.ContainsFunc(list, func(h Header) bool { return s.bad.has(h.ID) }) {
		src.strike(now, s.cfg)
		return
	}
	if len(s.tree.nodes)+len(list) > s.cfg.MaxHeaders {
		s.prune(now, s.active(now))
	}
	if src.told+len(list) > s.cfg.HeadersAhead+s.cfg.BatchHeaders || len(s.tree.nodes)+len(list) > s.cfg.MaxHeaders {
		src.strike(now, s.cfg) // one branch after the other, and blocks of none
		return
	}
	r.parent = s.tree.insert(r.parent, list, src)
	src.vouched = r.parent
}

// Body tells that the caller has the next block of an answer, which it found to be the
// one asked for. It says whether the caller is to keep it until it was added or dropped.
// With the last one the request is over.
func (s *Scheduler) Body(now time.Time, id uint64, block wire.BlockID) (keep bool, err error) {
	r := s.requests[id]
	switch {
	case r == nil:
		return false, nil
	case r.headers() || r.came == len(r.nodes) || r.nodes[r.came].ID != block:
		return false, NotAsked
	}
	n := r.nodes[r.came]
	r.came++
	r.progress = now
	if n.live() && (!r.from.vouched.live() || n.Height > r.from.vouched.Height) {
		r.from.vouched = n
	}
	if keep = n.state == asked; keep {
		n.state = held
	} else {
		s.uncharge(n) // dropped, or in the chain already
	}
	if r.came == len(r.nodes) {
		s.release(r, false)
		r.from.gave(now, r)
	}
	return keep, nil
}

// Ended tells that an answer is complete; one that brought all blocks was over before.
func (s *Scheduler) Ended(now time.Time, id uint64, end End) {
	r := s.requests[id]
	if r == nil {
		return
	}
	s.release(r, r.came == 0)
	src := r.from
	switch {
	case r.headers():
		s.headersEnded(now, r, end)
	case r.came > 0:
		src.gave(now, r)
		src.refused(now, 0) // the rest
	case src.vouched.live() && s.tree.joins(r.nodes[0], src.vouched):
		src.strike(now, s.cfg) // it told the header of this block itself, or of a later one
	default:
		src.refused(now, 0)
		src.lack(r.nodes[0], now.Add(s.cfg.Rest))
	}
}

// headersEnded draws the conclusions from what a peer told of its chain.
func (s *Scheduler) headersEnded(now time.Time, r *request, end End) {
	src := r.from
	src.probed = true
	src.stale = true
	if r.came > 0 {
		src.deep = false
		src.more = r.came == r.count && end.Height > r.last.Height
		if !src.vouched.live() && !src.more {
			src.sought = false // all of it is in the chain
			src.Height = r.last.Height
		}
		return
	}
	src.more = false
	n := s.tree.nodes[end.Head]
	switch {
	case n != nil && n.Height == end.Height:
		src.vouched, src.Height = n, n.Height
	case end.Height <= s.head.Height && (end.Height == 0 || s.chain.HasBlock(end.Head)):
		src.sought, src.Height = false, end.Height
	case !r.whole:
		src.deep, src.probed = true, false
	default:
		src.strike(now, s.cfg) // it claims a head that it does not lead to
	}
}

// Failed tells that an answer ended badly.
func (s *Scheduler) Failed(now time.Time, id uint64, why Why) {
	r := s.requests[id]
	if r == nil {
		return
	}
	src := r.from
	s.release(r, true)
	switch why {
	case Busy:
		src.refused(now, busyRest)
	case Early: // each time as long, as it may be our clock that is slow
		src.refused(now, s.cfg.Rest)
	case Elsewhere:
		if r.headers() {
			src.strike(now, s.cfg)
			return
		}
		src.refused(now, 0)
		src.lack(r.nodes[min(r.came, len(r.nodes)-1)], now.Add(s.cfg.Rest))
	case Lied:
		src.lied(now, s.cfg)
	case Needless:
	case Broken, Late:
		src.strike(now, s.cfg)
	}
}

// busyRest is until a peer that had no place is asked again.
const busyRest = time.Second

// release forgets a request. What did not come is wanted again.
func (s *Scheduler) release(r *request, failed bool) {
	delete(s.requests, r.id)
	s.open = slices.DeleteFunc(s.open, func(o *request) bool { return o == r })
	if r.headers() {
		r.from.headers = nil
		return
	}
	r.from.bodies--
	for _, n := range r.nodes[r.came:] {
		if n.state == asked {
			s.tree.reopen(n, wanted)
			n.failed = n.failed || failed
		} else if !n.live() {
			s.uncharge(n)
		}
	}
}
