package recon

import "math"

const (
	// MaxSymbols is the most symbols that a session may come to. It decodes some
	// 23,000 differences; more are told by plain ids. Up to 32,766 the arithmetic of
	// walk fits in 64 bits.
	MaxSymbols = 32<<10 - 8
	// none is what a walk answers when no symbol below its end is left.
	none = math.MaxUint32
)

// golden and the two multipliers are those of SplitMix64.
const (
	golden = 0x9e3779b97f4a7c15
	mixA   = 0xbf58476d1ce4e5b9
	mixB   = 0x94d049bb133111eb
)

// walk goes over the symbols that hold one short id, in rising order. Every
// short id is in symbol 0, and in symbol i with a probability of 1/(1+i/2), but
// for some percent in the first few: the steps are whole numbers.
//
// The paper draws the step from i as ⌈(i+1.5)·(1/√U − 1)⌉, U uniform on (0, 1].
// With U = u/2³² that is, without a rounding to argue about: the next symbol is
// the smallest j > i with
//
//	(2j+3)²·u ≥ (2i+3)²·2³²
//
// where u−1 is the upper half of the next output of SplitMix64, seeded with the
// check sum of the short id.
type walk struct {
	state uint64
	at    uint32
}

// newWalk stands at symbol 0.
func newWalk(check uint64) walk { return walk{state: check} }

// next moves on and returns the symbol reached, or none if that is not below
// end, which may be at most MaxSymbols. A walk that has left its end stays
// where it left: it must be kept as it was before if more symbols may come.
func (w *walk) next(end uint32) uint32 {
	w.state += golden
	z := w.state
	z = (z ^ z>>30) * mixA
	z = (z ^ z>>27) * mixB
	z ^= z >> 31
	w.at = step(w.at, z>>32+1, end)
	return w.at
}

// step returns the smallest j > i with (2j+3)²·u ≥ (2i+3)²·2³², or none if that
// is not below end. i and end are at most MaxSymbols, u is 1 to 2³². The float
// is a first guess that integers put right, so the result is the same on every
// machine.
func step(i uint32, u uint64, end uint32) uint32 {
	from := 2*uint64(i) + 3
	least := from * from << 32
	last := 2*uint64(end) + 1 // 2j+3 of the last symbol before end
	if last*last*u < least {
		return none
	}
	to := uint64(float64(from) * (1 << 16) / math.Sqrt(float64(u)))
	for to*to*u < least {
		to++
	}
	for (to-1)*(to-1)*u >= least {
		to--
	}
	j := max(uint32((to-2)/2), i+1) // the smallest with 2j+3 ≥ to, for to ≥ 3
	if j >= end {
		return none
	}
	return j
}
