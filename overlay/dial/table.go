package dial

import "math/rand/v2"

// table is buckets of slots side by side.
type table struct {
	at    []*entry
	count []int // by bucket
	used  int
}

func newTable(buckets int) table {
	return table{at: make([]*entry, buckets*slots), count: make([]int, buckets)}
}

func (t *table) put(e *entry) {
	t.at[e.place] = e
	t.count[e.place/slots]++
	t.used++
}

func (t *table) take(e *entry) {
	t.at[e.place] = nil
	t.count[e.place/slots]--
	t.used--
}

// draw returns an entry of a bucket that is not empty, both drawn at random, or
// nil. A crowded bucket is no likelier than one with a single entry, so that
// filling one's own buckets does not help.
func (t *table) draw(rng *rand.Rand) *entry {
	nonEmpty := 0
	for _, n := range t.count {
		if n > 0 {
			nonEmpty++
		}
	}
	if nonEmpty == 0 {
		return nil
	}
	nth := rng.IntN(nonEmpty)
	for bucket, n := range t.count {
		if n == 0 {
			continue
		}
		if nth > 0 {
			nth--
			continue
		}
		slot := rng.IntN(n)
		for _, e := range t.at[bucket*slots : (bucket+1)*slots] {
			if e == nil {
				continue
			}
			if slot == 0 {
				return e
			}
			slot--
		}
	}
	return nil // unreachable while the counts are right
}
