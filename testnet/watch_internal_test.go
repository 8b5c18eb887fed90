package testnet

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/wire"
)

var epoch = time.Unix(1_800_000_000, 0)

func at(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }

func tx(n int) wire.TxID       { return wire.TxID{0: byte(n + 1)} }
func block(n int) wire.BlockID { return wire.BlockID{0: byte(n + 1)} }

func (w *watch) deliveredInAll() (n int) {
	t, _, _ := w.read()
	for _, d := range t.delivered {
		n += d
	}
	return n
}

func TestDeliveryIsWhatReceiversSay(t *testing.T) {
	w := newWatch(3)
	w.submitting(tx(0), 1, 250, at(0))
	w.knows(0, tx(0), at(10)) // faster than the answer to the wallet
	w.submitted(tx(0), nil)
	w.knows(1, tx(0), at(11)) // the origin is no receiver
	w.knows(0, tx(0), at(12)) // only the first time counts
	w.knows(0, tx(9), at(12)) // not ours
	require.Equal(t, 1, w.deliveredInAll())
	require.False(t, w.settled())

	w.added(2, block(0), []wire.TxID{tx(0)}, true, at(30)) // known from a block
	got, latency, _ := w.read()
	require.Equal(t, []int{1, 0, 1}, got.delivered)
	require.Equal(t, uint64(500), got.deliveredBytes)
	require.Equal(t, 10.0, latency.P50)
	require.Equal(t, 30.0, latency.Max)
	require.False(t, w.settled(), "known to all, but in nobody's chain")

	for node := range 3 {
		w.moved(node, nil, []wire.BlockID{block(0)}, nil)
	}
	require.True(t, w.settled())
	w.moved(1, []wire.BlockID{block(0)}, nil, nil)
	require.False(t, w.settled(), "rolled back at one node")
}

func TestRefusedIsNotPublished(t *testing.T) {
	w := newWatch(2)
	w.submitting(tx(0), 0, 250, at(0))
	w.knows(1, tx(0), at(1))
	w.submitted(tx(0), errors.New("disk full"))
	got, _, _ := w.read()
	require.Equal(t, 1, got.refused)
	require.Zero(t, got.published)
	require.Equal(t, []int{0, 0}, got.delivered)
	require.True(t, w.settled())
}

func TestBlocksThatCount(t *testing.T) {
	w := newWatch(3)
	w.added(1, block(0), nil, false, at(5)) // faster than the producer's own hook
	require.False(t, w.blocksArrived())
	w.added(0, block(0), nil, true, at(6))
	w.freeze()
	w.added(0, block(1), nil, true, at(7))
	w.added(2, block(1), nil, false, at(8))
	require.False(t, w.blocksArrived())
	w.added(2, block(0), nil, false, at(10))
	require.True(t, w.blocksArrived(), "the block after the freeze does not count")
	w.close()
	w.dropped()
	got, _, latency := w.read()
	require.Equal(t, 1, got.blocks)
	require.Equal(t, 2, got.blockDeliveries)
	require.Zero(t, got.dropped)
	require.Equal(t, 4.0, latency.Max)
}

// TestForgetsWhatIsFinalEverywhere keeps a run without end within bounds.
func TestForgetsWhatIsFinalEverywhere(t *testing.T) {
	w := newWatch(2)
	for i := range 100 {
		w.submitting(tx(i), 0, 1, at(i))
		w.submitted(tx(i), nil)
		w.added(0, block(i), []wire.TxID{tx(i)}, true, at(i))
		w.added(1, block(i), []wire.TxID{tx(i)}, false, at(i))
		for node := range 2 {
			b := []wire.BlockID{block(i)}
			w.moved(node, nil, b, b)
		}
	}
	require.Empty(t, w.txs)
	require.Empty(t, w.blocks)
	got, _, _ := w.read()
	require.Equal(t, 100, got.included)
	require.True(t, w.settled())
	require.True(t, w.blocksArrived())
}

// TestLostForksAreBounded adds blocks that never become final.
func TestLostForksAreBounded(t *testing.T) {
	w := newWatch(2)
	for i := range maxWatchedBlocks + 100 {
		w.added(0, wire.BlockID{0: byte(i), 1: byte(i >> 8)}, nil, true, epoch)
	}
	require.Len(t, w.blocks, maxWatchedBlocks)
	require.Len(t, w.order, maxWatchedBlocks)
}

// TestNoDeliveryOfWhatNobodyMade: a block whose producer says nothing is not
// delivered more often than it was published.
func TestNoDeliveryOfWhatNobodyMade(t *testing.T) {
	w := newWatch(3)
	w.added(1, block(0), nil, false, epoch)
	w.added(2, block(0), nil, false, epoch)
	got, _, _ := w.read()
	require.Zero(t, got.blockDeliveries)
	w.added(0, block(0), nil, true, epoch)
	got, _, _ = w.read()
	require.Equal(t, 2, got.blockDeliveries)
}

// TestWatchAgainstNaive keeps plain sets of who knows and has what, and counts
// them anew after each event.
func TestWatchAgainstNaive(t *testing.T) {
	const nodes, txs, blocks = 2, 2, 2 // few, so that much happens to each
	type pair struct{ node, tx int }
	rapid.Check(t, func(t *rapid.T) {
		w := newWatch(nodes)
		origin := map[int]int{}
		accepted, knows := map[int]bool{}, map[pair]bool{}
		holds := map[int][]int{}
		told := map[int]bool{} // some node has spoken of the block's transactions
		best := map[pair]bool{}
		final := map[pair]bool{}
		draw := func(name string, n int) int { return rapid.IntRange(0, n-1).Draw(t, name) }
		for i := range blocks {
			holds[i] = []int{i % txs}
		}
		ids := func(b int) (out []wire.TxID) {
			for _, i := range holds[b] {
				out = append(out, tx(i))
			}
			return out
		}
		inBest := func(node, i int) bool {
			for b := range blocks {
				if best[pair{node, b}] && slices.Contains(holds[b], i) {
					return true
				}
			}
			return false
		}
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			node, i, b := draw("node", nodes), draw("tx", txs), draw("block", blocks)
			switch draw("what", 6) {
			case 0:
				if _, ok := origin[i]; !ok {
					origin[i] = node
					w.submitting(tx(i), node, 1, epoch)
				}
			case 1:
				if _, ok := origin[i]; ok && !accepted[i] {
					accepted[i] = true
					w.submitted(tx(i), nil)
				}
			case 2:
				w.knows(node, tx(i), epoch)
				if o, ok := origin[i]; ok && o != node {
					knows[pair{node, i}] = true
				}
			case 3:
				if len(origin) < txs {
					continue // blocks hold only what was submitted
				}
				w.added(node, block(b), ids(b), b%nodes == node, epoch)
				told[b] = true
				for _, i := range holds[b] {
					if origin[i] != node {
						knows[pair{node, i}] = true
					}
				}
			case 4: // apply, unless a block of the chain has one of its transactions
				if told[b] && !inBest(node, holds[b][0]) {
					best[pair{node, b}] = true
					w.moved(node, nil, []wire.BlockID{block(b)}, nil)
				}
			case 5:
				switch {
				case !best[pair{node, b}]:
				case rapid.Bool().Draw(t, "final"):
					final[pair{node, b}] = true
					w.moved(node, nil, nil, []wire.BlockID{block(b)})
				case !final[pair{node, b}]:
					delete(best, pair{node, b})
					w.moved(node, []wire.BlockID{block(b)}, nil, nil)
				}
			}
			included, settled := 0, 0
			for i := range accepted {
				everywhere, known := true, true
				for node := range nodes {
					everywhere = everywhere && inBest(node, i)
					known = known && (node == origin[i] || knows[pair{node, i}])
				}
				if everywhere {
					included++
					if known {
						settled++
					}
				}
			}
			got, _, _ := w.read()
			require.Equal(t, len(accepted), got.published)
			require.Equal(t, included, got.included)
			require.Equal(t, settled, got.settled)
			require.Equal(t, len(knows), w.deliveredInAll())
		}
	})
}
