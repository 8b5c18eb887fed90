package overlay_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
)

// A burst far above every queue reaches everybody: the publisher waits for its peers'
// queues, a receiver reads no faster than it can judge, and a nonce that overtook those
// before it waits for them.
//
// R16: reordering on the way loses nothing.
func TestP18BurstLosesNothing(t *testing.T) {
	for name, test := range map[string]struct {
		wallets, each int
		links         [][2]int
	}{
		"many wallets over two hops": {8, 500, [][2]int{{0, 1}, {1, 2}}},
		"one wallet over two hops":   {1, 2000, [][2]int{{0, 1}, {1, 2}}},
		"one wallet in a full mesh":  {1, 1000, [][2]int{{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}}},
	} {
		t.Run(name, func(t *testing.T) { burst(t, test.wallets, test.each, test.links) })
	}
}

func burst(t *testing.T, wallets, each int, links [][2]int) {
	g, c := testGenesis("burst"), newClock()
	var nodes []*node
	for _, l := range links {
		for len(nodes) <= l[1] {
			nodes = append(nodes, start(t, g, c))
		}
		nodes[l[0]].join(nodes[l[1]])
	}
	meshed(t, nodes...)
	var txs []validation.CheckedTx
	for n := range uint64(each) {
		for w := range wallets {
			txs = append(txs, nodes[0].accept(transfer(g, fmt.Sprint("wallet ", w), n)))
		}
	}
	for _, tx := range txs {
		require.NoError(t, nodes[0].PublishTx(t.Context(), tx))
	}
	for i, n := range nodes {
		if !assert.Eventually(t, func() bool { return n.chain.pooled() == len(txs) }, patience, pulse) {
			for j, o := range nodes {
				t.Logf("node %d: %s", j, o.tally())
			}
			require.FailNow(t, "not all arrived", "at node %d", i)
		}
		require.Zero(t, n.seen.blamed())
		require.Zero(t, n.seen.unjudged, "node %d: %s", i, n.tally())
	}
}

// tally sums up what became of transactions at a node.
func (n *node) tally() string {
	n.seen.mu.Lock()
	defer n.seen.mu.Unlock()
	why := map[string]int{}
	for _, err := range n.seen.arrived[validation.Ignore] {
		why[validation.RuleBroken(err)]++
	}
	return fmt.Sprintf("pooled %d, not sent %d, not judged %d, shed %v, ignored %v", n.chain.pooled(), n.seen.dropped, n.seen.unjudged, n.seen.shed, why)
}
