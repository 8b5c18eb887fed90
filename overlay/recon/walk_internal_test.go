package recon

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// reference is the definition of step, word for word, in integers of any size.
func reference(i uint32, u uint64, end uint32) uint32 {
	square := func(k uint32) *big.Int {
		n := new(big.Int).SetUint64(2*uint64(k) + 3)
		return n.Mul(n, n)
	}
	right := square(i)
	right.Lsh(right, 32)
	holds := func(j uint32) bool {
		left := square(j)
		return left.Mul(left, new(big.Int).SetUint64(u)).Cmp(right) >= 0
	}
	low, high := i+1, end // the smallest that holds is in [low, high], if any
	for low < high {
		if mid := low + (high-low)/2; holds(mid) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	if low >= end {
		return none
	}
	return low
}

// TestStepIsItsDefinition tries the corners and a great many places between.
func TestStepIsItsDefinition(t *testing.T) {
	us := []uint64{1, 2, 3, 1 << 16, 1<<16 + 1, 1 << 31, 1<<32 - 1, 1 << 32}
	for _, i := range []uint32{0, 1, 2, 100, 254, 255, 256, MaxSymbols - 2, MaxSymbols - 1} {
		for _, u := range us {
			for _, end := range []uint32{i, i + 1, Live, MaxSymbols} {
				if i <= end {
					require.Equal(t, reference(i, u, end), step(i, u, end), "from %d, u %d, end %d", i, u, end)
				}
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		i, u := rng.Uint32N(MaxSymbols), rng.Uint64N(1<<32)+1
		if rng.IntN(2) == 0 {
			i = rng.Uint32N(300)
		}
		if got, want := step(i, u, MaxSymbols), reference(i, u, MaxSymbols); got != want {
			t.Fatalf("from %d, u %d: %d, want %d", i, u, got, want)
		}
	}
}

// TestWalkHasThePapersDensity is the property that makes peeling work: symbol i
// holds a short id with a probability of 1/(1+i/2), give or take what whole steps
// cost the first few.
func TestWalkHasThePapersDensity(t *testing.T) {
	key := NewKey(Salt{1}, Salt{2})
	const items = 100_000
	var held [1000]int
	for s := range Short(items) {
		w := newWalk(key.check(s))
		for i := uint32(0); i < uint32(len(held)); i = w.next(uint32(len(held))) {
			held[i]++
		}
	}
	for i, n := range held {
		rho := 1 / (1 + float64(i)/2)
		sigma := math.Sqrt(items * rho * (1 - rho))
		require.InDelta(t, items*rho, n, 5*sigma+0.2*items*rho/float64(1+i), "symbol %d", i)
	}
}

// TestEstimate holds the estimate to the error that its comment states, with
// counts that have run over and with sets of different sizes.
func TestEstimate(t *testing.T) {
	key := NewKey(Salt{3}, Salt{4})
	rng := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct{ theirs, ours, counts int }{
		{1, 0, 25},
		{5, 5, 25},
		{100, 0, 25},
		{50, 50, 25},
		{1000, 0, 25},
		{500, 500, 25},
		{500, 500, 256},
		{5000, 100, 256},
		{5000, 5000, 256},
		{20_000, 0, 256},
		{20_000, 20_000, 1000},
	} {
		const runs = 20
		sum, squares := 0.0, 0.0
		d := float64(c.theirs + c.ours)
		for range runs {
			symbols := make([]Symbol, c.counts)
			for i := range c.theirs + c.ours {
				sign := int8(1)
				if i >= c.theirs {
					sign = -1
				}
				s := Short(rng.Uint64())
				toggle(symbols, s, key.check(s), sign)
			}
			counts := make([]uint8, c.counts)
			for i := range symbols {
				counts[i] = symbols[i].Count
			}
			off := float64(Estimate(counts, c.theirs-c.ours))/d - 1
			sum += off
			squares += off * off
		}
		sigma := math.Sqrt(2 / float64(c.counts-1))
		require.InDelta(t, 0, sum/runs, 0.15+4*sigma/math.Sqrt(runs), "%+v: mean error", c)
		require.Less(t, math.Sqrt(squares/runs), 0.15+2*sigma, "%+v: deviation", c)
	}
	require.Equal(t, 1, Estimate(nil, 0))
	require.Equal(t, 7, Estimate([]uint8{0}, -7), "at least the surplus")
}

func TestSqrt(t *testing.T) {
	for n := range 100_000 {
		r := sqrt(n)
		require.True(t, r*r <= n && (r+1)*(r+1) > n, "%d: %d", n, r)
	}
}
