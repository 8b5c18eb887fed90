package compact_test

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// truth knows of each link what its node has.
func truth(w *world) compact.Known {
	byID := map[peerscore.PeerID]*simNode{}
	for _, n := range w.nodes {
		byID[n.id] = n
	}
	return knows(func(link peerscore.PeerID, id wire.TxID) bool { return byID[link].has[id] })
}

// trusting believes that everybody has everything.
func trusting(*world) compact.Known {
	return knows(func(peerscore.PeerID, wire.TxID) bool { return true })
}

var seeds = flag.Int("seeds", 1, "runs of each row of docs/figures/compact.md")

// figure is one row of docs/figures/compact.md.
type figure struct {
	name   string
	txs    int
	lacks  float64 // share of the transactions that each node but the producer lacks
	known  func(*world) compact.Known
	silent float64 // share of the nodes that announce and ask, and give nothing
	p99    time.Duration
	wire   float64 // 0 is not judged
}

var figures = []figure{
	{name: "pooled", txs: 4_200, known: truth, p99: 350 * time.Millisecond, wire: 0.25},
	{name: "half", txs: 4_200, lacks: 0.05, known: truth, p99: 600 * time.Millisecond},
	{name: "half, nothing filled", txs: 4_200, lacks: 0.05, known: trusting, p99: 600 * time.Millisecond},
	{name: "cold", txs: 4_200, lacks: 1, known: truth, p99: 1500 * time.Millisecond, wire: 1.6},
	{name: "cold, a fifth withholds", txs: 4_200, lacks: 1, known: truth, silent: 0.2, p99: 2250 * time.Millisecond},
	{name: "cold, 4 MiB", txs: 16_600, lacks: 1, known: truth, p99: 5 * time.Second},
}

func (f figure) run(seed uint64, nodes int) *world {
	w := f.world(seed, nodes)
	f.start(w, seed, 20*time.Second)
	return w
}

// world is the network before anything is sent, and start sends it a block.
func (f figure) world(seed uint64, nodes int) *world {
	return newWorld(nodes, min(20, nodes/3), compact.DefaultConfig(), rand.New(rand.NewPCG(seed, 1)), f.known)
}

func (f figure) start(w *world, seed uint64, limit time.Duration) {
	b, coded := block(transactions(int(seed)<<20, f.txs, 250), nil)
	for k, n := range w.nodes {
		n.silent = k > 0 && w.rng.Float64() < f.silent
		for _, tx := range b.Txs() {
			if k == 0 || w.rng.Float64() >= f.lacks {
				n.has[tx.ID()] = true
				n.pool = append(n.pool, tx)
			}
		}
	}
	w.run(b, coded, limit)
}

// TestFigures holds the machines in a simulated network against their targets: everybody
// gets the block, in time, within the bytes, and nobody is blamed. The runs are the same
// each time; -seeds makes more of them, and -v prints the rows.
func TestFigures(t *testing.T) {
	for _, f := range figures {
		t.Run(f.name, func(t *testing.T) {
			if testing.Short() && f.txs > 5_000 {
				t.Skip("takes seconds of CPU")
			}
			for s := range *seeds {
				w := f.run(uint64(s+1), 100)
				ways := map[compact.Way]int{}
				rounds, spare, missed := 0, 0, 0
				for _, h := range w.how {
					ways[h.Way]++
					rounds += h.Rounds
					spare += h.Spare
				}
				for _, x := range w.odd {
					require.IsType(t, compact.Missed{}, x, "seed %d", s+1)
					missed++
				}
				t.Logf("| %s | %d | %d / %d | %.3f | %v | %.2f | %d | %d |", f.name, s+1, w.percentile(50).Milliseconds(), w.percentile(99).Milliseconds(),
					w.perPayload(), ways, float64(rounds)/float64(len(w.how)), spare, missed)
				require.Equal(t, len(w.nodes)-1, w.built, "seed %d", s+1)
				if s > 0 {
					continue // one network may be worse connected than another
				}
				require.LessOrEqual(t, w.percentile(99), f.p99)
				if f.wire > 0 {
					require.LessOrEqual(t, w.perPayload(), f.wire)
				}
				if f.silent == 0 {
					require.Less(t, float64(missed), 0.1*float64(len(w.nodes)), "lapses without anybody to blame")
				}
			}
		})
	}
}

// TestReplay: one seed, one run, whatever the seed; and in every network all nodes get the
// block, and nobody is blamed.
func TestReplay(t *testing.T) {
	s := seed(t)
	for _, f := range figures[:5] {
		f.txs = 1_000
		a, b := f.run(s, 24), f.run(s, 24)
		require.Equal(t, a.done, b.done, f.name)
		require.Equal(t, a.bytes, b.bytes, f.name)
		require.Equal(t, a.how, b.how, f.name)
		require.Equal(t, len(a.nodes)-1, a.built, f.name)
		for _, x := range a.odd {
			require.IsType(t, compact.Missed{}, x, f.name)
		}
	}
}
