package core

import (
	"math"
	"math/rand/v2"
)

// purpose is what something random is for. Each has a stream of its own, and
// where nodes draw, each node a stream of its own.
type purpose uint64

const (
	forDials purpose = iota + 1
	forLatency
	forLines
	forRoles
	forGroups
	forChurn
	forLoad
	forLoss
	forFill
	forNode
	forMembers
)

// stream returns the random stream of a purpose; of is a node's number where
// each has its own.
func stream(seed uint64, p purpose, of int) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(p)<<32|uint64(uint32(of))))
}

// shared deals kinds out to n nodes by share: the number of each is exact to
// one, and who gets which is random.
func shared(rng *rand.Rand, n int, shares []float64) []int {
	sum := 0.0
	for _, s := range shares {
		sum += s
	}
	out := make([]int, 0, n)
	upTo := 0.0
	for kind, s := range shares {
		upTo += s / sum
		for len(out) < int(math.Round(upTo*float64(n))) {
			out = append(out, kind)
		}
	}
	rng.Shuffle(n, func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}
