package recon

import "math/bits"

// Estimate says how many differences there are, going by the counts of the
// first symbols of the difference and by how many more the one set has than the
// other. It is at least 1, and off by √(2/len(counts)) of itself (one standard
// deviation). counts are the Count of the first symbols of that set minus those
// of the other; the first one is not used.
//
// Of d differences, each is in symbol i with a probability of ρ = 2/(2+i), for
// or against. So the square of (count − surplus·ρ) is d·ρ(1−ρ) in the mean.
func Estimate(counts []uint8, surplus int) int {
	if len(counts) < 2 {
		return max(1, surplus, -surplus)
	}
	var sum uint64 // of estimates, in 1/256
	for i := 1; i < len(counts); i++ {
		places, expected := int64(2+i), 2*int64(surplus)
		centre := expected / places
		count := centre + int64(int8(counts[i]-uint8(centre)))
		off := count*places - expected
		sum += uint64(off*off) * 256 / uint64(2*i)
	}
	mean := sum / uint64(len(counts)-1)
	return max(1, surplus, -surplus, int((mean+128)/256))
}

// needed is how many symbols d differences take, in the mean.
func needed(d int) int { return d + 7*d/20 + sqrt(d) }

// firstAnswer is how many symbols to answer an Open with: for ten differences or
// fewer they suffice but for some percent of the cases, and a single difference
// stays cheap.
func firstAnswer(d int) int {
	switch {
	case d <= 2:
		return 14
	case d < 16:
		return 30
	default:
		return min(Live, needed(d))
	}
}

// nextTotal is how many symbols to ask for in all, after have of them that did
// not suffice: what the estimate says, less a quarter of its error, and a
// sixteenth more at least. Late steps are small because what is too much is
// wasted, and the early estimate spares most of them.
func nextTotal(have, d int) int {
	less := d * sqrt(2<<16/have) / (4 << 8)
	return max(needed(d-less), have+max(8, have/16))
}

// sqrt is ⌊√n⌋ for n ≥ 0.
func sqrt(n int) int {
	if n < 2 {
		return n
	}
	r := 1 << ((bits.Len(uint(n)) + 1) / 2)
	for {
		next := (r + n/r) / 2
		if next >= r {
			return r
		}
		r = next
	}
}
