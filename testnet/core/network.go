package core

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// MaxBacklog bounds what waits for a node's line. What would wait longer is
// dropped at the sender, as a full queue does.
const MaxBacklog = 10 * time.Second

// network is what lies between the nodes.
type network struct {
	lines []line // by node
	pairs []pair
	ways  []way   // two of each pair
	near  [][]hop // by node, ascending by peer
	loss  float64
	late  float64 // share of messages held back
	rng   *rand.Rand

	total   tally
	bytes   [kinds]uint64 // on the wire, by kind
	dropped int           // for backlog
}

// line is a node's access to the network. Rates are in bits per nanosecond;
// zero is without bound.
type line struct {
	up, down         float64
	upFree, downFree time.Duration // when it has carried what it took
	sent             uint64        // bytes
}

// pair is two nodes that know each other.
type pair struct {
	a, b   int32
	gen    uint32 // counts openings and closings: what was under way before is void
	open   bool
	banned bool // one of them closed it for good
}

// way is one direction of a pair.
type way struct {
	pair    int32
	from    int32
	latency time.Duration
	tally   tally
}

// tally counts messages: at any time those sent are the sum of the others.
type tally struct{ sent, arrived, lost, cut, flying int }

// hop is a neighbour and the way there.
type hop struct{ peer, way int32 }

func busy(size int, rate float64) time.Duration {
	if rate == 0 {
		return 0
	}
	return time.Duration(float64(8*size) / rate)
}

// newNetwork lays out the links of a scenario, and more where there are none; all
// are closed.
func newNetwork(s *scenario.Scenario, more ...[2]int) *network {
	n := &network{
		lines: make([]line, s.Nodes), near: make([][]hop, s.Nodes),
		loss: s.Network.Loss, late: s.Network.Reorder, rng: stream(s.Seed, forLoss, 0),
	}
	classes := s.Network.Lines()
	shares := make([]float64, len(classes))
	for i, c := range classes {
		shares[i] = c.Share
	}
	for i, c := range shared(stream(s.Seed, forLines, 0), s.Nodes, shares) {
		const perNano = 1e6 / 1e9
		n.lines[i] = line{up: classes[c].UpMbps * perNano, down: classes[c].DownMbps * perNano}
	}
	latency := latencies(s)
	for i, peers := range dialled(s) {
		for _, j := range peers {
			there, back := latency(i, j)
			n.join(i, j, there, back)
		}
	}
	for _, l := range more {
		if _, known := n.find(l[0], l[1]); !known {
			there, back := latency(l[0], l[1])
			n.join(l[0], l[1], there, back)
		}
	}
	return n
}

// join makes a pair of two nodes with the given latencies there and back.
func (n *network) join(a, b int, there, back time.Duration) {
	p := int32(len(n.pairs))
	n.pairs = append(n.pairs, pair{a: int32(a), b: int32(b)})
	for _, w := range []way{{pair: p, from: int32(a), latency: there}, {pair: p, from: int32(b), latency: back}} {
		to := int32(a + b - int(w.from))
		at, _ := n.find(int(w.from), int(to))
		n.near[w.from] = slices.Insert(n.near[w.from], at, hop{peer: to, way: int32(len(n.ways))})
		n.ways = append(n.ways, w)
	}
}

// dialled says for each node which of the nodes before it are its neighbours:
// each node dials so many others, and two who dial each other have one link.
func dialled(s *scenario.Scenario) [][]int {
	rng := stream(s.Seed, forDials, 0)
	out := make([][]int, s.Nodes)
	for i := range s.Nodes {
		for _, j := range rng.Perm(s.Nodes - 1)[:min(s.Network.Dials, s.Nodes-1)] {
			if j >= i { // skip oneself
				j++
			}
			out[max(i, j)] = append(out[max(i, j)], min(i, j))
		}
	}
	for i := range out {
		slices.Sort(out[i])
		out[i] = slices.Compact(out[i])
	}
	return out
}

// latencies returns the one-way times of a scenario, there and back. It may
// draw, so each pair is to be asked for once.
func latencies(s *scenario.Scenario) func(a, b int) (there, back time.Duration) {
	l := s.Network.Latency
	if r, ok := l.Regions(); ok {
		return func(a, b int) (there, back time.Duration) {
			at, to := r.Of(a, s.Nodes), r.Of(b, s.Nodes)
			return r.OneWay[at][to], r.OneWay[to][at]
		}
	}
	rng := stream(s.Seed, forLatency, 0)
	low, high := l.Range[0], l.Range[1]
	return func(_, _ int) (there, back time.Duration) {
		d := low + time.Duration(rng.Int64N(int64(high-low)+1))
		return d, d
	}
}

func (n *network) find(from, to int) (at int, ok bool) {
	return slices.BinarySearchFunc(n.near[from], int32(to), func(h hop, to int32) int { return int(h.peer - to) })
}

// send gives a message to the line of its sender. The answer is the event with
// which it reaches the receiver's line, if it does.
func (n *network) send(now time.Duration, from, to int, m *Message) (e event, ok bool) {
	at, known := n.find(from, to)
	if !known {
		return event{}, false
	}
	via := n.near[from][at].way
	w := &n.ways[via]
	p := &n.pairs[w.pair]
	line := &n.lines[from]
	start := max(now, line.upFree)
	switch {
	case !p.open:
		return event{}, false
	case start-now > MaxBacklog:
		n.dropped++
		return event{}, false
	}
	line.upFree = start + busy(m.wire, line.up)
	line.sent += uint64(m.wire)
	n.bytes[m.Kind] += uint64(m.wire)
	w.tally.sent++
	n.total.sent++
	if n.loss > 0 && n.rng.Float64() < n.loss {
		w.tally.lost++
		n.total.lost++
		return event{}, false
	}
	delay := w.latency
	if n.late > 0 && n.rng.Float64() < n.late {
		delay += time.Duration(n.rng.Int64N(int64(w.latency) + 1)) // later ones overtake it
	}
	w.tally.flying++
	n.total.flying++
	return event{at: start + delay, what: reached, node: int32(to), peer: int32(from), via: via, gen: p.gen, msg: m}, true
}

// valid says whether the link that e travels over is still the one it was sent
// on; if not, e was cut on its way.
func (n *network) valid(e *event) bool {
	p := &n.pairs[n.ways[e.via].pair]
	return p.open && p.gen == e.gen
}

// through is when the last bit of a message whose first one is there now is
// through the receiver's line. Bits are passed on as they come: the line is
// slower than the sender's, or waits for it.
func (n *network) through(now time.Duration, e *event) time.Duration {
	l := &n.lines[e.node]
	l.downFree = max(now, l.downFree) + busy(e.msg.wire, l.down)
	return max(l.downFree, now+busy(e.msg.wire, n.lines[e.peer].up))
}

// land counts the end of a message's way.
func (n *network) land(e *event, arrived bool) {
	for _, t := range []*tally{&n.ways[e.via].tally, &n.total} {
		t.flying--
		if arrived {
			t.arrived++
		} else {
			t.cut++
		}
	}
}

// wire is all bytes sent so far.
func (n *network) wire() uint64 {
	sum := uint64(0)
	for _, b := range n.bytes {
		sum += b
	}
	return sum
}
