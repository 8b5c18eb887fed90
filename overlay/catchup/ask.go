package catchup

import (
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// shortLocator is enough where the branches part not far below the head.
	shortLocator = 8
	// hedges is how many peers are asked for the same headers when few are left.
	hedges = 4
	// firstBlocks is how many blocks a peer is asked for of which nothing is known.
	firstBlocks = 32
)

// askHeaders asks a peer for headers where that leads on: once to learn its branch, then
// whenever few of that are left.
func (s *Scheduler) askHeaders(now time.Time, src *source, out *Out) {
	if src.headers != nil || src.tokens < 1 {
		return
	}
	goal := src.goal
	switch {
	case !src.probed:
		s.sendHeaders(now, src, nil, s.cfg.ProbeHeaders, out)
	case goal == nil:
		s.sendHeaders(now, src, nil, s.cfg.BatchHeaders, out)
	case src.Height <= goal.leaf().Height && !(src.more && src.vouched == goal.leaf()):
	case goal.left() < s.cfg.HeadersAhead/2 && s.extending(goal) < s.hedges(goal):
		s.sendHeaders(now, src, goal, s.cfg.BatchHeaders, out)
	}
}

// hedges is how many may be asked to lead a branch on.
func (s *Scheduler) hedges(p *path) int {
	if p.left() < s.cfg.HeadersAhead/8 {
		return hedges
	}
	return 1
}

// extending counts the requests for what follows a branch.
func (s *Scheduler) extending(p *path) (n int) {
	for _, r := range s.open {
		if r.headers() && r.extends == p.leaf() {
			n++
		}
	}
	return n
}

func (s *Scheduler) sendHeaders(now time.Time, src *source, goal *path, count int, out *Out) {
	r := &request{count: count}
	if goal != nil {
		r.extends = goal.leaf()
	}
	r.locator, r.whole = s.locator(src, goal)
	src.headers = s.send(now, r, src)
	out.Ask = append(out.Ask, Ask{ID: r.id, Peer: src.Peer, Locator: r.locator, Count: count})
}

// locator says where a branch passes: that of goal, or of the peer's last headers, or our
// own. Where the chain is short, or the peer's parts from it far back, it reaches genesis.
func (s *Scheduler) locator(src *source, goal *path) (list []Ref, whole bool) {
	from := Ref{s.head.ID, s.head.Height}
	switch {
	case goal != nil:
		from = Ref{goal.leaf().ID, goal.leaf().Height}
	case src.more && src.at.Height > 0:
		from = src.at
	}
	for i := range wire.MaxSyncBlocks {
		if i == shortLocator && !src.deep {
			return list, false
		}
		ref := Ref{Height: wire.LocatorHeight(from.Height, i)}
		switch {
		case i == 0:
			ref = from
		case ref.Height == 0:
			ref.ID = s.genesis
		default:
			ref.ID = s.at(goal, ref.Height)
		}
		list = append(list, ref)
		if ref.Height == 0 {
			return list, true
		}
	}
	return list, true
}

// at is the block of a branch at a height, zero where there is none.
func (s *Scheduler) at(goal *path, height uint64) wire.BlockID {
	if goal != nil {
		if i, ok := goal.index(height); ok {
			return goal.nodes[i].ID
		}
	}
	id, _ := s.chain.BlockAt(height)
	return id
}

// send takes note of a request.
func (s *Scheduler) send(now time.Time, r *request, src *source) *request {
	s.serial++
	r.id, r.from, r.at, r.progress, r.before = s.serial, src, now, now, src.got
	src.tokens--
	s.requests[r.id] = r
	s.open = append(s.open, r)
	return r
}

// askBlocks asks a peer for the lowest blocks that are wanted of its branch, and says
// whether it did.
func (s *Scheduler) askBlocks(now time.Time, src *source, active []*source, out *Out) bool {
	if src.goal == nil || src.tokens < 1 {
		return false
	}
	if s.hopeless(src) {
		src.sought = false
		return false
	}
	run := s.run(now, src, active, out)
	if len(run) == 0 || !s.mayAsk(src, run[0].failed) {
		return false
	}
	ask := Ask{Peer: src.Peer, From: run[0].Height}
	for _, n := range run {
		s.charge(n)
		n.state = asked
		ask.Blocks, ask.Sizes = append(ask.Blocks, n.ID), append(ask.Sizes, n.Size)
	}
	ask.ID = s.send(now, &request{nodes: run}, src).id
	src.bodies++
	out.Ask = append(out.Ask, ask)
	return true
}

// mayAsk says whether a peer can have one more request. Who is not known to be quick has
// one at a time. What somebody did not give does not wait for a place.
func (s *Scheduler) mayAsk(src *source, urgent bool) bool {
	if src.bodies == 0 {
		return true
	}
	if !src.able() {
		return false
	}
	if urgent {
		return src.bodies <= s.cfg.RequestsPerSource
	}
	size, _ := s.portion(src)
	return src.bodies < s.cfg.RequestsPerSource && s.outstanding(src) <= size
}

// outstanding is how many bytes a peer was asked for that did not come.
func (s *Scheduler) outstanding(src *source) (bytes int) {
	for _, r := range s.open {
		if r.from == src && !r.headers() {
			for _, n := range r.nodes[r.came:] {
				bytes += n.Size
			}
		}
	}
	return bytes
}

// run picks blocks that follow each other, as many as the peer should give within Share.
func (s *Scheduler) run(now time.Time, src *source, active []*source, out *Out) []*node {
	first, ok := s.first(src, active)
	if !ok {
		return nil
	}
	nodes := src.goal.nodes[first:]
	run, scant := s.fill(src, nodes)
	if scant && s.reclaim(now, active, out) {
		run, scant = s.fill(src, nodes)
	}
	// A window that is nearly full gives way block by block: with requests as small as
	// that a peer would soon have had all that it gets.
	if scant && s.draining() {
		return nil
	}
	return run
}

// fill takes the first of some blocks, as many as there is room for. scant says that it is
// for the lack of room that they are few.
func (s *Scheduler) fill(src *source, nodes []*node) (run []*node, scant bool) {
	size, most := s.portion(src)
	blocks, bytes := 0, 0
	for _, n := range nodes {
		if n.state != wanted || n.Height > src.reach() || len(run) == most || len(run) > 0 && bytes+n.Size > size {
			break
		}
		if !s.fits(n, blocks, bytes) {
			return run, len(run) < most/2 && bytes < size/2
		}
		if !n.charged {
			blocks++
		}
		bytes += n.Size
		run = append(run, n)
	}
	return run, false
}

// draining says whether there will be room in the window without further requests.
func (s *Scheduler) draining() bool {
	for _, r := range s.open {
		if !r.headers() {
			return true
		}
	}
	for _, p := range s.tree.paths {
		if p.left() > 0 && p.named > p.done {
			return true
		}
	}
	return false
}

// first finds the lowest block that a peer may be asked for. What somebody did not give
// is for those who have given others, if there are any.
func (s *Scheduler) first(src *source, active []*source) (int, bool) {
	p := src.goal
	for p.next < len(p.nodes) && p.nodes[p.next].state != wanted {
		p.next++
	}
	for i := p.next; i < len(p.nodes); i++ {
		n := p.nodes[i]
		switch {
		case n.Height > src.reach():
			return 0, false
		case n.state != wanted, n.failed && !src.good() && betterOn(p, n, src, active):
		default:
			return i, true
		}
	}
	return 0, false
}

// betterOn says whether another peer with a good record can be asked for a block.
func betterOn(p *path, n *node, src *source, active []*source) bool {
	for _, o := range active {
		if o != src && o.good() && o.goal == p && o.reach() >= n.Height {
			return true
		}
	}
	return false
}

// portion is how many bytes, and blocks, a peer is asked for at once.
func (s *Scheduler) portion(src *source) (bytes, blocks int) {
	if !src.able() {
		return s.cfg.MinRequest, min(firstBlocks, s.cfg.MaxBlocks)
	}
	share := src.rate * s.cfg.Share.Seconds()
	return int(min(float64(s.cfg.MaxRequest), max(float64(s.cfg.MinRequest), share))), s.cfg.MaxBlocks
}

// reclaim makes room at the cost of the branches that nobody is used on, and says whether
// there were any.
func (s *Scheduler) reclaim(now time.Time, active []*source, out *Out) (any bool) {
	for _, p := range slices.Clone(s.tree.paths) {
		if !slices.ContainsFunc(active, func(src *source) bool { return src.goal == p }) {
			s.tree.prune(p, s.gone)
			any = true
		}
	}
	s.giveUpNeedless(now, out)
	return any
}
