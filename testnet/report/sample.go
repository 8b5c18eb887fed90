package report

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// MaxSamples bounds what a Sample keeps. A figure over four million deliveries
// moves by less than the third digit when it is taken over a uniform million
// of them.
const MaxSamples = 1 << 20

// Percentiles of one quantity, each the value of a sample (nearest rank).
type Percentiles struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Sample collects one quantity in bounded memory. The zero value is ready.
// Not safe for concurrent use.
type Sample struct {
	rng  *rand.Rand // picks who is kept once the bound is reached
	kept []float32  // a uniform sample of what came
	seen int
	max  float64
}

// Add takes one value, in milliseconds where it is a time.
func (s *Sample) Add(v float64) {
	if s.seen == 0 || v > s.max {
		s.max = v
	}
	s.seen++
	if len(s.kept) < MaxSamples {
		s.kept = append(s.kept, float32(v))
		return
	}
	if s.rng == nil { // fixed: a report must not differ between equal runs
		s.rng = rand.New(rand.NewPCG(MaxSamples, 1))
	}
	if i := s.rng.IntN(s.seen); i < MaxSamples {
		s.kept[i] = float32(v)
	}
}

// AddDuration takes d as milliseconds.
func (s *Sample) AddDuration(d time.Duration) { s.Add(float64(d) / float64(time.Millisecond)) }

// Len is how many values came, kept or not.
func (s *Sample) Len() int { return s.seen }

// Percentiles returns nil when no value came. Values are rounded to
// thousandths; Max is exact however many came.
func (s *Sample) Percentiles() *Percentiles {
	if s.seen == 0 {
		return nil
	}
	sorted := slices.Clone(s.kept)
	slices.Sort(sorted)
	p := &Percentiles{P50: rank(sorted, 0.50), P90: rank(sorted, 0.90), P99: rank(sorted, 0.99), Max: round(s.max, 1e3)}
	// Kept values have fewer digits than the largest one, and may be above it.
	p.P50, p.P90, p.P99 = min(p.P50, p.Max), min(p.P90, p.Max), min(p.P99, p.Max)
	return p
}

// rank is the smallest value of sorted that at least q of all are not above.
func rank(sorted []float32, q float64) float64 {
	// The small term keeps 0.99 × 100 from becoming 100 by rounding up.
	i := int(math.Ceil(q*float64(len(sorted))-1e-9)) - 1
	return round(float64(sorted[max(i, 0)]), 1e3)
}
