package mempool

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestIndexAgainstMap has more keys than the first tables have places, so that
// searches run into each other and around the end.
func TestIndexAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		keyOf := func(n uint32) [32]byte { return [32]byte{byte(n), byte(n >> 8)} }
		x, want := newIndex(keyOf), make(map[uint32]bool)
		most := uint32(1 + rng.IntN(300))
		for range 1_000 {
			n := rng.Uint32N(most)
			if want[n] {
				x.remove(n, keyOf(n))
				delete(want, n)
			} else {
				x.add(n, keyOf(n))
				want[n] = true
			}
			probe := rng.Uint32N(most)
			got, ok := x.find(keyOf(probe))
			require.Equal(t, want[probe], ok)
			if ok {
				require.Equal(t, probe, got)
			}
			require.Equal(t, len(want), x.count)
		}
		for n := range most {
			_, ok := x.find(keyOf(n))
			require.Equal(t, want[n], ok)
		}
	})
}

// TestRankingAgainstSorting sets, moves and removes, and walks a part of what is
// there.
func TestRankingAgainstSorting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		order := func(a, b place) int { return int(a.rank) - int(b.rank) + (int(a.owner) - int(b.owner)) }
		r := newRanking(func(a, b place) bool { return order(a, b) < 0 })
		var want []place
		for range 200 {
			// Ranks are far apart, so that the owner decides between equals only.
			p := place{rank: 1_000 * rng.Uint64N(8), owner: rng.Uint32N(40)}
			want = slices.DeleteFunc(want, func(q place) bool { return q.owner == p.owner })
			if rng.IntN(3) == 0 {
				r.remove(p.owner)
			} else {
				r.set(p)
				want = append(want, p)
			}
			slices.SortFunc(want, order)
			w := r.walk()
			for _, p := range want[:rng.IntN(len(want)+1)] {
				got, ok := w.peek()
				require.True(t, ok)
				require.Equal(t, p, got)
				w.skip()
			}
			if len(want) > 0 {
				first, ok := r.first()
				require.True(t, ok)
				require.Equal(t, want[0], first)
			}
			require.Equal(t, len(want), r.len())
		}
		w := r.walk()
		for range want {
			w.skip()
		}
		_, ok := w.peek()
		require.False(t, ok)
	})
}
