package sim_test

import (
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
)

// small is a network that a test can afford.
func small() *scenario.Scenario {
	return &scenario.Scenario{
		Name: "small", Description: "A network that a test can afford.", World: report.WorldSim, Relay: report.RelayGossip, Seed: 7, Nodes: 8,
		Network: scenario.Network{
			Dials: 3, Mbps: 50,
			Latency: scenario.Latency{Range: [2]time.Duration{20 * time.Millisecond, 80 * time.Millisecond}},
		},
		Settle: 6 * time.Second, Drain: 5 * time.Second,
		Txs: scenario.Txs{PerSecond: 10, Size: 250, For: 4 * time.Second},
	}
}

func run(t *testing.T, s *scenario.Scenario) *report.Report {
	t.Helper()
	require.NoError(t, s.Validate())
	r, err := sim.Run(t.Context(), s, sim.Options{})
	require.NoError(t, err)
	require.NoError(t, r.Validate())
	text, err := json.Marshal(r)
	require.NoError(t, err)
	t.Logf("seed %d: %s", s.Seed, text)
	return r
}

func TestTransactionsReachEverybody(t *testing.T) {
	r := run(t, small())
	require.Greater(t, r.Tx.Published, 20)
	require.Equal(t, r.Tx.Published*7, r.Tx.Expected)
	require.Equal(t, r.Tx.Expected, r.Tx.Delivered)
	require.Empty(t, r.FailedExpectations)
	require.Empty(t, r.Notes, "every link carries the relay, nothing was refused")
	require.GreaterOrEqual(t, r.Tx.LatencyMS.P50, r.FloorMS.P50)
	require.GreaterOrEqual(t, r.Tx.LatencyMS.Max, r.FloorMS.Max)
	require.Less(t, r.Tx.LatencyMS.P99, 1000.0)
	require.Equal(t, uint64(r.Tx.Delivered*250), r.Bytes.PayloadDelivered)
	require.Greater(t, *r.Bytes.WirePerPayload, 1.0)
	require.GreaterOrEqual(t, *r.Tx.CopiesPerDelivery, 1.0)
	require.InDelta(t, 15, *r.VirtualS, 0.001)
	require.Nil(t, r.Trace)
}

func TestBlocksOfTheAskedSize(t *testing.T) {
	for name, pooled := range map[string]float64{"pooled": 1, "unknown": 0} {
		t.Run(name, func(t *testing.T) {
			s := small()
			s.Txs = scenario.Txs{}
			s.Blocks = scenario.Blocks{Size: 100_000, TxSize: 250, Every: 3 * time.Second, Count: 2, Producers: 2, Pooled: pooled}
			r := run(t, s)
			require.Equal(t, 2, r.Block.Published)
			require.Equal(t, 14, r.Block.Delivered)
			require.Equal(t, uint64(14*100_000), r.Bytes.PayloadDelivered)
			require.Equal(t, pooled, *r.Block.RebuiltWithoutRequestRatio)
			require.Equal(t, 1, *r.Chain.Heads)
			require.EqualValues(t, 2, *r.Chain.Height)
			require.Zero(t, *r.Chain.Lost)
			require.GreaterOrEqual(t, r.Block.LatencyMS.P50, r.FloorMS.P50)
			if pooled == 1 {
				require.Less(t, *r.Bytes.WirePerPayload, 0.5)
			} else {
				require.Greater(t, *r.Bytes.WirePerPayload, 1.0)
			}
		})
	}
}

// TestPartitionAndHealing cuts the network in two: while it lasts, nothing
// crosses; afterwards all agree.
func TestPartitionAndHealing(t *testing.T) {
	s := small()
	s.Txs.For = 12 * time.Second
	s.Drain = 40 * time.Second
	s.Blocks = scenario.Blocks{Producers: 4, Slot: time.Second}
	s.Partitions = []scenario.Partition{{From: 2 * time.Second, To: 10 * time.Second, Groups: []float64{0.5, 0.5}}}
	r := run(t, s)
	require.Greater(t, r.Tx.LatencyMS.Max, 1000.0, "what was sent during the partition came late or never")
	require.Equal(t, 1, *r.Chain.Heads)
	require.Positive(t, *r.Chain.Rollbacks, "both halves made blocks")
	require.Positive(t, *r.Chain.Lost, "and those of one were in vain")
	require.Less(t, *r.Chain.Lost, r.Block.Published)
	require.NotNil(t, r.Heal)
	require.Positive(t, r.Heal.MissingBytes)
	require.Greater(t, *r.Heal.WirePerMissing, 1.0)
	require.Less(t, *r.Heal.EqualS, 30.0)
}

func TestNodesThatRestart(t *testing.T) {
	s := small()
	s.Start.Wave = 2 * time.Second
	s.Txs.For = 10 * time.Second
	s.Churn = []scenario.Churn{{From: time.Second, To: 6 * time.Second, Share: 0.5, Down: 2 * time.Second}}
	r := run(t, s)
	// A node that has just come back has no mesh yet; it asks its peers what it missed.
	require.Greater(t, *r.Tx.DeliveryRatio, 0.99)
	require.Greater(t, r.Tx.LatencyMS.Max, 1000.0, "what passed a node that was away reached it later")
}

func TestSilentNodesAreNoReceivers(t *testing.T) {
	s := small()
	s.Silent = 0.25
	r := run(t, s)
	require.Equal(t, r.Tx.Published*5, r.Tx.Expected)
	require.Equal(t, r.Tx.Expected, r.Tx.Delivered)
}

// TestCostOfChecking shows that charged processor time is in the latency.
func TestCostOfChecking(t *testing.T) {
	s := small()
	free := run(t, s)
	s.VerifyCost = 20 * time.Millisecond
	dear := run(t, s)
	require.Greater(t, dear.Tx.LatencyMS.P50, free.Tx.LatencyMS.P50+15)
}

// TestMeasuredCost charges what this machine takes, which a report says.
func TestMeasuredCost(t *testing.T) {
	cost, err := sim.MeasureVerify()
	require.NoError(t, err)
	require.Greater(t, cost, time.Microsecond)
	require.Less(t, cost, 100*time.Millisecond)
	s := small()
	s.VerifyCost = scenario.MeasuredCost
	r := run(t, s)
	require.Equal(t, scenario.MeasuredCost, s.VerifyCost, "the scenario is the caller's")
	require.Len(t, r.Notes, 1)
	require.Regexp(t, `^judging a transaction took [0-9.]+[µm]s of virtual time`, r.Notes[0])
}

func TestLossIsSurvived(t *testing.T) {
	s := small()
	clean := run(t, s)
	s.Network.Loss, s.Network.Reorder = 0.25, 0.05
	lossy := run(t, s)
	require.Equal(t, lossy.Tx.Expected, lossy.Tx.Delivered)
	require.Greater(t, lossy.Tx.LatencyMS.P90, 1.1*clean.Tx.LatencyMS.P90)
}

func TestTraceForPlots(t *testing.T) {
	s := small()
	s.Network.Latency = scenario.Latency{Preset: "aws-8"}
	var last sim.Progress
	r, err := sim.Run(t.Context(), s, sim.Options{Trace: true, Progress: func(p sim.Progress) { last = p }})
	require.NoError(t, err)
	require.Positive(t, last.TotalS)
	require.Len(t, r.Trace.Nodes, 8)
	require.Equal(t, "virginia", r.Trace.Nodes[0].Region)
	require.Len(t, r.Trace.Messages, r.Tx.Published)
	for _, m := range r.Trace.Messages {
		require.Len(t, m.ArrivedMS, m.Receivers)
		require.Len(t, m.FloorMS, m.Receivers)
	}
	require.NotEmpty(t, r.Trace.MeshLinks)
	require.NotEmpty(t, r.Trace.Usage)
	var sum uint64
	names := map[string]bool{}
	for _, k := range r.Trace.Kinds {
		sum += k.Bytes
		names[k.Kind] = true
	}
	require.Greater(t, sum, *r.Bytes.Wire, "the whole run, not just the load")
	require.Contains(t, names, "transport")
	require.Contains(t, names, "grapevine/hello/1")
}

// TestWhatGoesWrongIsSaid covers every way in which a run has no report.
func TestWhatGoesWrongIsSaid(t *testing.T) {
	for relay, want := range map[string]string{
		"nonsense": `relay is "nonsense", which this program does not have`,
		"refuses":  "no seat is good enough",
		"panics":   "panic: a bug in the code under test",
		"leaves":   "stopped by itself",
		"fails":    "the disk is gone",
		"leaks":    "blocked goroutines remain",
	} {
		t.Run(relay, func(t *testing.T) {
			s := small()
			s.Relay = relay
			_, err := sim.Run(t.Context(), s, sim.Options{})
			require.ErrorContains(t, err, "simulate small: ")
			require.ErrorContains(t, err, want)
			require.Less(t, len(err.Error()), 8<<10, "the reason, not all goroutines")
		})
	}
}

// Nodes that are told of one other find each other, and again after all of them restarted
// and were told of nobody.
func TestNodesFindEachOther(t *testing.T) {
	s := small()
	s.Network.Bootstrap = 1
	s.Settle = 70 * time.Second // anchors have served a minute
	s.Txs.For = 15 * time.Second
	s.Churn = []scenario.Churn{{From: time.Second, To: 2 * time.Second, Share: 1, Down: 2 * time.Second}}
	s.Drain = 20 * time.Second
	r := run(t, s)
	require.Greater(t, r.Links, 7, "more than those to the one")
	require.EqualValues(t, 1, *r.Tx.DeliveryRatio)
	require.Less(t, r.Tx.LatencyMS.Max, 15_000.0)
}

func TestLoadWaitsForNobody(t *testing.T) {
	s := small()
	s.Settle = 0
	_, err := sim.Run(t.Context(), s, sim.Options{})
	require.ErrorContains(t, err, "is not ready when the load should begin")
}

// TestOutputIsOnlyFrames: code under test that prints does no harm.
func TestOutputIsOnlyFrames(t *testing.T) {
	s := small()
	s.Relay = "talks"
	r, err := sim.Run(t.Context(), s, sim.Options{})
	require.NoError(t, err)
	require.Zero(t, r.Tx.Published, "nobody told an observer, so nothing was published")
}

// TestEndOfContextKills: a run that would never end does.
func TestEndOfContextKills(t *testing.T) {
	s := small()
	s.Relay = "spins"
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, os.ErrDeadlineExceeded)
	defer cancel()
	_, err := sim.Run(ctx, s, sim.Options{})
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestTooLargeForMemoryIsRefused(t *testing.T) {
	s := small()
	s.Nodes, s.Network.Dials = 20_000, 1000
	_, err := sim.Run(t.Context(), s, sim.Options{})
	require.ErrorContains(t, err, "GB of memory")
	require.ErrorContains(t, err, "take fewer nodes")
}
