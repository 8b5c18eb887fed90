package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// latencyOf returns the one-way latencies of every ordered pair of n nodes.
func latencyOf(seed uint64, n int, l scenario.Latency) ([][]time.Duration, error) {
	between := func(i, j int) time.Duration { return drawn(seed, i, j, l.Range) }
	if l.Preset != "" || len(l.Matrix) > 0 {
		r, ok := l.Regions()
		if !ok {
			return nil, fmt.Errorf("network.latency.preset is %q, which is not known", l.Preset)
		}
		between = func(i, j int) time.Duration { return r.OneWay[r.Of(i, n)][r.Of(j, n)] }
	}
	at := make([][]time.Duration, n)
	for i := range at {
		at[i] = make([]time.Duration, n)
		for j := range n {
			at[i][j] = between(i, j)
		}
	}
	return at, nil
}

// drawn is the latency of one pair, uniform in the range. It depends on the
// pair and the seed alone: another number of nodes leaves it as it is.
func drawn(seed uint64, i, j int, within [2]time.Duration) time.Duration {
	pair := uint64(min(i, j))<<32 | uint64(max(i, j))
	rng := rand.New(rand.NewPCG(seed, pair))
	return within[0] + time.Duration(rng.Float64()*float64(within[1]-within[0]))
}
