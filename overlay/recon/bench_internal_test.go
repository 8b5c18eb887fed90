package recon

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPeel is decoding, all symbols at once.
func BenchmarkPeel(b *testing.B) {
	for _, d := range []int{1, 10, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("d=%d", d), func(b *testing.B) {
			key := NewKey(Salt{1}, Salt{2})
			symbols := make([]Symbol, 2*d+100)
			rng := rand.New(rand.NewPCG(1, 2))
			for range d {
				s := Short(rng.Uint64())
				toggle(symbols, s, key.check(s), 1)
			}
			zero := make([]Symbol, len(symbols))
			before, n := cpuTime(), 0
			for b.Loop() {
				n++
				done, err := NewPeeler(key).Add(symbols, zero)
				require.NoError(b, err)
				require.True(b, done)
			}
			b.ReportMetric(float64(cpuTime()-before)/float64(n)/1e6, "cpu-ms/op")
		})
	}
}

// worst are full lists of symbols that take the peeler longest, of those tried.
var worst = map[string]func(key Key, rng *rand.Rand) []Symbol{
	"random": func(_ Key, rng *rand.Rand) []Symbol {
		list := make([]Symbol, MaxSymbols)
		for i := range list {
			list[i] = Symbol{rng.Uint64(), rng.Uint32(), uint8(rng.Uint32())}
		}
		return list
	},
	"random ids, alone everywhere": func(key Key, rng *rand.Rand) []Symbol {
		list := make([]Symbol, MaxSymbols)
		for i := range list {
			s := Short(rng.Uint64())
			list[i] = Symbol{uint64(s), uint32(key.check(s)), 1}
		}
		return list
	},
	"rising ids, alone everywhere": func(key Key, _ *rand.Rand) []Symbol {
		list := make([]Symbol, MaxSymbols)
		for i := range list {
			list[i] = Symbol{uint64(i), uint32(key.check(Short(i))), 1}
		}
		return list
	},
	"as many differences as can be, and one too many in symbol 0": func(key Key, rng *rand.Rand) []Symbol {
		list := make([]Symbol, MaxSymbols)
		for range 23_500 {
			s := Short(rng.Uint64())
			toggle(list, s, key.check(s), 1)
		}
		list[0].Sum++
		return list
	},
}

// badSketch has the peeler chew symbols in the smallest steps that an initiator
// takes, from the first on.
func badSketch(key Key, symbols []Symbol, first int) (p *Peeler, err error) {
	p = NewPeeler(key)
	zero := make([]Symbol, len(symbols))
	for to := first; p.Len() < len(symbols) && err == nil; to = min(len(symbols), nextTotal(to, 0)) {
		_, err = p.Add(symbols[p.Len():to], zero[p.Len():to])
	}
	return p, err
}

// firsts are how many symbols come first: as few or as many as can be, and some between, with
// which rising ids come to the bound or near it.
var firsts = []int{14, 30, 60, MaxSymbols}

// BenchmarkBadSketch is the most that a sketch which leads nowhere costs.
func BenchmarkBadSketch(b *testing.B) {
	key := NewKey(Salt{1}, Salt{2})
	for name, symbols := range worst {
		for _, first := range firsts {
			b.Run(fmt.Sprintf("%s, from %d", name, first), func(b *testing.B) {
				list := symbols(key, rand.New(rand.NewPCG(1, 2)))
				before, n, looks := cpuTime(), 0, 0
				for b.Loop() {
					n++
					p, _ := badSketch(key, list, first)
					looks = p.work
				}
				b.ReportMetric(float64(cpuTime()-before)/float64(n)/1e6, "cpu-ms/op")
				b.ReportMetric(float64(looks)/MaxSymbols, "looks/symbol")
			})
		}
	}
}

// R61: TestBadSketchStaysCheap counts looks, which are the same on every machine; what
// a look costs is in the benchmark.
//
// S10: a sketch that leads nowhere is cheap.
func TestBadSketchStaysCheap(t *testing.T) {
	key := NewKey(Salt{1}, Salt{2})
	for name, symbols := range worst {
		for _, first := range firsts {
			p, err := badSketch(key, symbols(key, rand.New(rand.NewPCG(1, 2))), first)
			t.Logf("%s, from %d: %.1f looks per symbol, %v", name, first, float64(p.work)/float64(p.Len()), err)
			require.LessOrEqual(t, p.work, workPerSymbol*p.Len()+oneWalk, name)
		}
	}
}

// TestHonestSketchesStayBelowTheBound in the smallest steps, with room to spare.
func TestHonestSketchesStayBelowTheBound(t *testing.T) {
	key := NewKey(Salt{5}, Salt{6})
	rng := rand.New(rand.NewPCG(1, 2))
	for _, d := range []int{1, 2, 5, 10, 30, 100, 300, 1000, 20_000} {
		worst := 0.0
		for range min(300, 20_000/d) {
			list := make([]Symbol, min(MaxSymbols, 4*d+100))
			for range d {
				s := Short(rng.Uint64())
				toggle(list, s, key.check(s), 1)
			}
			p, err := badSketch(key, list, 14) // goes on after the difference is known
			require.NoError(t, err)
			worst = max(worst, float64(p.work)/float64(p.Len()))
		}
		require.Less(t, worst, 0.75*workPerSymbol, "%d differences", d)
	}
}
