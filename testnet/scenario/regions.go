package scenario

import (
	"maps"
	"slices"
	"time"
)

// Regions is a latency model by place: a packet takes OneWay[a][b] from region
// a to region b.
type Regions struct {
	Names  []string // as many as regions; nil where the matrix has no names
	OneWay [][]time.Duration
	Shares []float64 // of nodes in each region, adding up to one
}

// Regions returns the model that l stands for; ok is false where l is a range
// or names no known preset.
func (l Latency) Regions() (r Regions, ok bool) {
	switch {
	case len(l.Matrix) > 0:
		r.OneWay = l.Matrix
	case l.Preset != "":
		if r, ok = presets[l.Preset]; !ok {
			return Regions{}, false
		}
	default:
		return Regions{}, false
	}
	if len(l.Shares) > 0 {
		r.Shares = l.Shares
	}
	if r.Shares == nil {
		r.Shares = make([]float64, len(r.OneWay))
		for i := range r.Shares {
			r.Shares[i] = 1 / float64(len(r.OneWay))
		}
	}
	return r, true
}

// Of returns the region of node number i out of n: nodes are dealt out in
// order of their numbers, so that a matrix with a row for each node is what it
// looks like. What else goes by shares should be drawn, or it would go by
// region too.
func (r Regions) Of(i, n int) int {
	at := (float64(i) + 0.5) / float64(n)
	sum := 0.0
	for region, share := range r.Shares {
		if sum += share; at < sum {
			return region
		}
	}
	return len(r.Shares) - 1
}

// Presets are the names of the latency models that are built in.
func Presets() []string { return slices.Sorted(maps.Keys(presets)) }

// presets holds one-way times.
//
// aws-8 is half of the round-trip times measured between Amazon's regions and
// published as "Latency Between AWS Global Regions" (2017; the table is kept at
// acomputerscientistlearnsaws.blogspot.com/2017/04/aws-regions.html), the two
// directions averaged. Inside a region it is 1 ms: measurements between zones
// of one region lie between 0.25 and 3.4 ms there and back (xkyle.com,
// "Measuring AWS Region and AZ Latency").
//
// interop-8 is the network of libp2p's gossipsub-interop simulations
// (github.com/libp2p/test-plans, gossipsub-interop/network_graph.py), with its
// share of nodes by region, so that figures can be held against published
// ones.
var presets = map[string]Regions{
	"aws-8": {
		Names: []string{"virginia", "oregon", "ireland", "frankfurt", "tokyo", "singapore", "sydney", "sao-paulo"},
		OneWay: symmetric(8,
			1,
			43.9, 1,
			40.3, 68.5, 1,
			44.3, 79.8, 9.8, 1,
			72.7, 44.6, 106.2, 118.3, 1,
			108.4, 80.7, 119.3, 163.0, 36.9, 1,
			114.9, 81.0, 154.8, 161.7, 52.0, 87.7, 1,
			59.8, 91.4, 95.7, 97.5, 128.4, 164.1, 161.3, 1,
		),
	},
	"interop-8": {
		Names: []string{"australia", "europe", "east-asia", "west-asia", "na-east", "na-west", "south-africa", "south-america"},
		OneWay: symmetric(8,
			2,
			165, 2,
			110, 125, 4,
			180, 60, 110, 5,
			150, 70, 140, 110, 2,
			110, 110, 100, 150, 60, 2,
			220, 95, 175, 110, 130, 160, 7,
			190, 140, 175, 145, 100, 100, 195, 7,
		),
		Shares: parts(290, 5599, 1059, 161, 2894, 1240, 47, 36),
	},
}

// symmetric makes a matrix from its lower half, row by row, in milliseconds.
func symmetric(n int, lower ...float64) [][]time.Duration {
	m := make([][]time.Duration, n)
	for i := range m {
		m[i] = make([]time.Duration, n)
	}
	for i := range n {
		for j := range i + 1 {
			d := time.Duration(lower[0] * float64(time.Millisecond))
			m[i][j], m[j][i] = d, d
			lower = lower[1:]
		}
	}
	return m
}

// parts turns weights into shares.
func parts(weights ...float64) []float64 {
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	for i := range weights {
		weights[i] /= sum
	}
	return weights
}
