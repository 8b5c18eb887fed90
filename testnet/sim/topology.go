package sim

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// What is random in a run is drawn from streams of its own, so that more of
// one thing does not change another.
const (
	streamDials uint64 = iota + 1
	streamProducers
	streamWave
	streamClasses
	streamSilent
	streamGroups
	streamChurn
	streamTxs
	streamFill
	streamLinks
	streamSiege
	streamCopies
)

func stream(seed, of uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, of)) }

// dialGraph says whom each of n nodes dials: as many as asked of those that it
// has no link to yet, chosen at random. So nodes have twice as many links on
// average, unless there are too few of them for that.
func dialGraph(seed uint64, n, dials int) [][]int {
	rng := stream(seed, streamDials)
	graph := make([][]int, n)
	linked := make(map[[2]int]bool, n*dials)
	for i := range graph {
		for _, j := range rng.Perm(n) {
			pair := [2]int{min(i, j), max(i, j)}
			if i == j || linked[pair] || len(graph[i]) == dials {
				continue
			}
			linked[pair] = true
			graph[i] = append(graph[i], j)
		}
	}
	return graph
}

// besieged is a dial graph in which some nodes dial only those who are not besiegers,
// as many as said (0: not a besieger), and these dial each other only.
func besieged(seed uint64, n, dials int, siege func(i int) int) [][]int {
	var inside []int
	for i := range n {
		if siege(i) == 0 {
			inside = append(inside, i)
		}
	}
	graph := make([][]int, n)
	for k, dialled := range dialGraph(seed, len(inside), dials) {
		for _, j := range dialled {
			graph[inside[k]] = append(graph[inside[k]], inside[j])
		}
	}
	rng := stream(seed, streamSiege)
	for i := range n {
		for _, k := range rng.Perm(len(inside))[:min(siege(i), len(inside))] {
			graph[i] = append(graph[i], inside[k])
		}
	}
	return graph
}

// links counts the pairs that a dial graph connects.
func links(graph [][]int) int {
	pairs := make(map[[2]int]bool)
	for i, dialled := range graph {
		for _, j := range dialled {
			pairs[[2]int{min(i, j), max(i, j)}] = true
		}
	}
	return len(pairs)
}

// undirected is the graph of links: for each node its neighbours, ascending.
func undirected(graph [][]int) [][]int {
	out := make([][]int, len(graph))
	for i, dialled := range graph {
		for _, j := range dialled {
			out[i] = append(out[i], j)
			out[j] = append(out[j], i)
		}
	}
	for i := range out {
		slices.Sort(out[i])
		out[i] = slices.Compact(out[i])
	}
	return out
}

// unreachable is the floor where no path leads.
const unreachable = time.Duration(math.MaxInt64)

// floors returns how long the fastest path from a node to every other takes,
// bandwidth and processing aside. Nodes for which mute is true pass nothing on.
func floors(from int, neighbours [][]int, latency func(i, j int) time.Duration, mute func(i int) bool) []time.Duration {
	at := make([]time.Duration, len(neighbours))
	for i := range at {
		at[i] = unreachable
	}
	at[from] = 0
	q := &frontier{{from, 0}}
	for q.Len() > 0 {
		next := heap.Pop(q).(reached)
		if next.at > at[next.node] || next.node != from && mute(next.node) {
			continue
		}
		for _, j := range neighbours[next.node] {
			if t := next.at + latency(next.node, j); t < at[j] {
				at[j] = t
				heap.Push(q, reached{j, t})
			}
		}
	}
	return at
}

// reached is a node and when the wave gets there.
type reached struct {
	node int
	at   time.Duration
}

// frontier is a heap, earliest first.
type frontier []reached

func (f frontier) Len() int           { return len(f) }
func (f frontier) Less(i, j int) bool { return f[i].at < f[j].at }
func (f frontier) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *frontier) Push(x any)        { *f = append(*f, x.(reached)) }
func (f *frontier) Pop() any {
	old := *f
	last := old[len(old)-1]
	*f = old[:len(old)-1]
	return last
}

// shared hands out kinds to n nodes by share, then shuffles them: the numbers
// of each kind are exact to one, and who gets which is random.
func shared(rng *rand.Rand, n int, shares []float64) []int {
	var sum float64
	for _, s := range shares {
		sum += s
	}
	out := make([]int, 0, n)
	var upTo float64
	for kind, s := range shares {
		upTo += s / sum
		for len(out) < int(math.Round(upTo*float64(n))) {
			out = append(out, kind)
		}
	}
	rng.Shuffle(n, func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}
