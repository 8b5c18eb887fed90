package local

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/wire"
)

var start = time.UnixMilli(1_000_000)

func ms(n int64) time.Time { return start.Add(time.Duration(n) * time.Millisecond) }

func txEvent(kind api.Kind, id byte, block byte, at int64) api.Event {
	e := api.Event{Kind: kind, Time: uint64(ms(at).UnixMilli()), Tx: &api.TxEvent{ID: wire.TxID{id}}}
	if kind == api.TxIncluded {
		e.Block = &api.BlockEvent{ID: wire.BlockID{block}}
	}
	return e
}

func blockEvent(kind api.Kind, id byte, producer string, at int64) api.Event {
	return api.Event{Kind: kind, Time: uint64(ms(at).UnixMilli()), Block: &api.BlockEvent{ID: wire.BlockID{id}, Producer: producer}}
}

// far is when an observer hears of everything, long after it happened.
var far = ms(1_000_000)

// threeNodes is a tally in which node 0 sent transactions 1 and 2, and all
// nodes have told of everything.
func threeNodes(t *testing.T, skip func(node int, e api.Event) bool) *tally {
	t.Helper()
	y := newTally([]string{"p", "", ""}, true, 1)
	y.begin(start, time.Time{})
	tell := func(node int, e api.Event) {
		if skip == nil || !skip(node, e) {
			y.heard(node, e, far)
		}
	}
	for id := byte(1); id <= 2; id++ {
		y.submitting(wire.TxID{id}, 0, 250, ms(int64(id)*10))
		for node := range 3 {
			tell(node, txEvent(api.TxPending, id, 0, int64(id)*10+int64(node)*5))
		}
		y.submitted(wire.TxID{id}, nil)
	}
	for node := range 3 {
		tell(node, blockEvent(api.BlockAdded, 9, "p", 100+int64(node)*7))
		for id := byte(1); id <= 2; id++ {
			tell(node, txEvent(api.TxIncluded, id, 9, 100+int64(node)*7))
		}
	}
	return y
}

func TestTally(t *testing.T) {
	y := threeNodes(t, nil)
	require.True(t, y.settled())
	require.True(t, y.blocksArrived())
	r := y.result()
	require.Equal(t, 2, r.tx.Published)
	require.Equal(t, 4, r.tx.Expected, "the origin is no receiver")
	require.Equal(t, 4, r.tx.Delivered)
	require.EqualValues(t, 1, *r.tx.DeliveryRatio)
	require.EqualValues(t, 4*250, r.counts.deliveredBytes)
	require.Equal(t, 2, r.included)
	// Each time is the end of the millisecond that the daemon named.
	require.Equal(t, &report.Percentiles{P50: 6, P90: 11, P99: 11, Max: 11}, r.tx.LatencyMS)
	require.Equal(t, 1, r.block.Published)
	require.Equal(t, 2, r.block.Delivered)
	require.Equal(t, &report.Percentiles{P50: 7, P90: 14, P99: 14, Max: 14}, r.block.LatencyMS)
}

// One delivery that did not happen is one that is not counted: nothing is
// concluded from what was sent, or from what others received.
func TestOneDeliveryMissing(t *testing.T) {
	y := threeNodes(t, func(node int, e api.Event) bool {
		return node == 2 && e.Tx != nil && e.Tx.ID == wire.TxID{2}
	})
	require.False(t, y.settled())
	r := y.result()
	require.Equal(t, 4, r.tx.Expected)
	require.Equal(t, 3, r.tx.Delivered)
	require.EqualValues(t, 0.75, *r.tx.DeliveryRatio)
	require.Equal(t, 1, r.included)

	y = threeNodes(t, func(node int, e api.Event) bool { return node == 1 && e.Kind == api.BlockAdded })
	require.False(t, y.blocksArrived())
	require.EqualValues(t, 0.5, *y.result().block.DeliveryRatio)
}

// A block delivers the transactions that it holds.
func TestDeliveryByBlock(t *testing.T) {
	y := threeNodes(t, func(node int, e api.Event) bool { return node == 2 && e.Kind == api.TxPending })
	require.True(t, y.settled())
	require.EqualValues(t, 115-10, y.result().tx.LatencyMS.Max)
}

// An observer that hears at once is more exact than the millisecond it hears.
func TestHeardAtOnce(t *testing.T) {
	y := newTally([]string{"", ""}, false, 0)
	y.submitting(wire.TxID{1}, 0, 1, start)
	y.heard(1, txEvent(api.TxPending, 1, 0, 0), start.Add(300*time.Microsecond))
	y.submitted(wire.TxID{1}, nil)
	require.EqualValues(t, 0.3, y.result().tx.LatencyMS.Max)
	require.True(t, y.settled(), "nobody makes blocks")
}

func TestRefusedIsNotExpected(t *testing.T) {
	y := newTally([]string{"", ""}, false, 1)
	y.submitting(wire.TxID{1}, 0, 100, start)
	y.heard(1, txEvent(api.TxPending, 1, 0, 1), far) // it spread all the same
	y.submitted(wire.TxID{1}, errors.New("full"))
	r := y.result()
	require.Zero(t, r.tx.Expected)
	require.Zero(t, r.tx.Delivered)
	require.Zero(t, r.counts.deliveredBytes)
	require.Equal(t, 1, r.counts.refused)
	require.Nil(t, r.tx.DeliveryRatio)
	require.Empty(t, y.traced)
	require.True(t, y.settled())
}

func TestRollback(t *testing.T) {
	y := threeNodes(t, nil)
	y.heard(1, blockEvent(api.Rollback, 9, "p", 200), far)
	require.False(t, y.settled())
	require.Zero(t, y.result().included)
	require.Equal(t, 1, y.result().counts.rolledBack)
	y.heard(1, blockEvent(api.BlockAdded, 9, "p", 210), far)
	for id := byte(1); id <= 2; id++ {
		y.heard(1, txEvent(api.TxIncluded, id, 9, 210), far)
	}
	require.True(t, y.settled())
	require.Equal(t, 2, y.result().block.Delivered, "it arrived once")
}

func TestBlocksCountWithinTheRun(t *testing.T) {
	y := newTally([]string{"p", ""}, true, 0)
	y.heard(0, blockEvent(api.BlockAdded, 1, "p", -5), far)
	y.begin(start, time.Time{})
	y.heard(1, blockEvent(api.BlockAdded, 1, "p", 5), far)
	y.heard(1, blockEvent(api.BlockAdded, 2, "p", 10), far) // before its producer is heard
	y.heard(0, blockEvent(api.BlockAdded, 2, "p", 9), far)
	y.freeze()
	y.heard(0, blockEvent(api.BlockAdded, 3, "p", 20), far)
	require.True(t, y.blocksArrived())
	r := y.result()
	require.Equal(t, 1, r.block.Published)
	require.Equal(t, 1, r.block.Delivered)
}

func TestGapsAreTold(t *testing.T) {
	y := newTally([]string{"", ""}, false, 0)
	y.heard(0, api.Event{Kind: api.GapKind, Gap: &api.Gap{Lost: 7}}, far)
	y.heard(0, api.Event{Kind: api.GapKind, Gap: &api.Gap{Reason: "restarted"}}, far)
	require.EqualValues(t, 8, y.result().counts.missed)
}

// TestTallyAgainstNaive holds the running counts against a count of everything
// at the end, whatever the order in which observers speak.
func TestTallyAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := rapid.IntRange(2, 5).Draw(t, "nodes")
		y := newTally(make([]string, nodes), true, 0)
		type pair struct {
			node int
			id   byte
		}
		known, on := map[pair]bool{}, map[pair]bool{}
		const txs = 4
		answered := map[byte]bool{}
		for id := range byte(txs) {
			y.submitting(wire.TxID{id}, int(id)%nodes, 10, start)
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			at := pair{rapid.IntRange(0, nodes-1).Draw(t, "node"), byte(rapid.IntRange(0, txs-1).Draw(t, "tx"))}
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				y.heard(at.node, txEvent(api.TxPending, at.id, 0, 1), far)
				known[at] = true
			case 1: // each transaction has a block of its own
				if !on[at] {
					y.heard(at.node, api.Event{Kind: api.BlockAdded, Block: &api.BlockEvent{ID: wire.BlockID{at.id}}}, far)
					y.heard(at.node, txEvent(api.TxIncluded, at.id, at.id, 1), far)
					known[at], on[at] = true, true
				}
			case 2:
				if on[at] {
					y.heard(at.node, blockEvent(api.Rollback, at.id, "", 1), far)
					on[at] = false
				}
			case 3:
				if !answered[at.id] {
					y.submitted(wire.TxID{at.id}, nil)
					answered[at.id] = true
				}
			}
		}
		delivered, included, unsettled := 0, 0, 0
		for id := range byte(txs) {
			has, in := 0, 0
			for node := range nodes {
				if known[pair{node, id}] && node != int(id)%nodes {
					has++
				}
				if on[pair{node, id}] {
					in++
				}
			}
			delivered += has
			if answered[id] && in == nodes {
				included++
			}
			if answered[id] && (has < nodes-1 || in < nodes) {
				unsettled++
			}
		}
		r := y.result()
		require.Equal(t, delivered, r.tx.Delivered)
		require.Equal(t, included, r.included)
		require.Equal(t, unsettled, r.counts.unsettled, fmt.Sprint(known, on))
	})
}
