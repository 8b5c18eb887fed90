package recon_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/recon"
	"github.com/grapevine-p2p/grapevine/wire"
)

// known is how many ids both sides have in the benchmarks.
const known = 100_000

// cpu is what this process has used so far: wall time says more about the other
// processes of a busy machine.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkExchange reports what finding a difference costs between two sides
// that know 100,000 ids, all frames of both directions counted, with the two
// bytes or so that delimit each:
//
//	B/diff, p99-B/diff   until the initiator knows the difference
//	told-B/diff          what then asks for and tells ids, 32 bytes each
//	one-trip             the share that took one round trip
//	trips, p99-trips     round trips until the initiator knows
//
// Half of the differences are on each side. Run it with -benchtime=200x for a p99 that
// means something.
func BenchmarkExchange(b *testing.B) {
	for _, d := range []int{0, 1, 10, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("d=%d", d), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			config := recon.DefaultConfig()
			config.MaxAge = 24 * time.Hour
			p := newPair(b, config, 1)
			p.fill(rng, known, 0, 0)
			p.exchange()
			var find, trips []float64
			told, single := 0, 0
			for b.Loop() {
				differing := spread(p, rng, d)
				before, toldBefore := p.sent, p.told
				after := [2]int{} // when it was found
				asked := p.frames[initiator]
				p.spy = func(from int, f recon.Frame) {
					switch f.(type) {
					case recon.Need, recon.IDs, recon.Done:
						if from == initiator && after[0] == 0 {
							after = p.sent
							if _, done := f.(recon.Done); !done {
								after[0] -= p.told[0] - toldBefore[0]
							} else {
								after[0] -= 2
							}
							asked = p.frames[initiator] - 1 - asked
						}
					case recon.Open:
						asked = p.frames[initiator] - 1
					}
				}
				p.exchange()
				if d == 0 {
					after, asked = p.sent, 1
				}
				find = append(find, float64(after[0]+after[1]-before[0]-before[1]))
				trips = append(trips, float64(asked))
				if asked == 1 {
					single++
				}
				told += p.told[0] + p.told[1] - toldBefore[0] - toldBefore[1]
				for _, id := range differing {
					p.asks.remove(id)
					p.answers.remove(id)
				}
			}
			each := float64(max(1, d))
			b.ReportMetric(mean(find)/each, "B/diff")
			b.ReportMetric(p99(find)/each, "p99-B/diff")
			b.ReportMetric(float64(told)/each/float64(len(find)), "told-B/diff")
			b.ReportMetric(float64(single)/float64(len(find)), "one-trip")
			b.ReportMetric(mean(trips), "trips")
			b.ReportMetric(p99(trips), "p99-trips")
			b.ReportMetric(0, "ns/op") // of a simulation
		})
	}
}

// spread gives each side half of d fresh ids, the odd one to either.
func spread(p *pair, rng *rand.Rand, d int) (differing []wire.TxID) {
	for i := range d {
		s := p.asks
		if i%2 == 1 || i == d-1 && rng.IntN(2) == 0 {
			s = p.answers
		}
		id := randomID(rng)
		s.add(id)
		differing = append(differing, id)
	}
	return differing
}

func mean(list []float64) float64 {
	sum := 0.0
	for _, x := range list {
		sum += x
	}
	return sum / float64(len(list))
}

func p99(list []float64) float64 {
	slices.Sort(list)
	return list[int(math.Ceil(0.99*float64(len(list))))-1]
}

// BenchmarkIdle reports what a link costs by the second, over an hour in which
// nothing differs, with 60 bytes for the packet that each frame travels in.
func BenchmarkIdle(b *testing.B) {
	for b.Loop() {
		config := recon.DefaultConfig()
		config.MaxAge = 2 * time.Hour
		p := newPair(b, config, 1)
		p.fill(rand.New(rand.NewPCG(1, 2)), 1000, 0, 0)
		p.run(time.Hour, never)
		bytes, frames := p.sent[0]+p.sent[1], p.frames[0]+p.frames[1]
		b.ReportMetric(float64(bytes)/3600, "B/s")
		b.ReportMetric(float64(bytes+60*frames)/3600, "packet-B/s")
	}
}

// BenchmarkChange is what one change of the pool costs for each link.
func BenchmarkChange(b *testing.B) {
	r, err := recon.NewResponder(recon.DefaultConfig(), &recon.Large{}, recon.Salt{})
	require.NoError(b, err)
	r.Step(epoch, recon.Received{Frame: recon.Greeting{}}, nil)
	rng := rand.New(rand.NewPCG(1, 2))
	pool := make([]wire.TxID, 8192) // as ids enter, the oldest leave
	for i := range pool {
		pool[i] = randomID(rng)
	}
	before, n := cpu(), 0
	for b.Loop() {
		r.Add(pool[n%len(pool)])
		r.Remove(pool[(n+len(pool)/2)%len(pool)])
		n++
	}
	b.ReportMetric(float64(cpu()-before)/float64(2*n), "cpu-ns/change")
}

// BenchmarkScan is a look at the whole set for its first symbols, as at the
// beginning of a session. Symbols up to the last take twice as long.
func BenchmarkScan(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	set := make([]wire.TxID, known)
	for i := range set {
		set[i] = randomID(rng)
	}
	before, n := cpu(), 0
	for b.Loop() {
		n++
		r, err := recon.NewResponder(recon.DefaultConfig(), &recon.Large{}, recon.Salt{})
		require.NoError(b, err)
		for _, a := range r.Step(epoch, recon.Received{Frame: recon.Greeting{}}, nil) {
			if run, ok := a.(recon.RunScan); ok {
				run.Scan.Run(slices.Values(set))
			}
		}
	}
	b.ReportMetric(float64(cpu()-before)/float64(n)/1e6, "cpu-ms/op")
}
