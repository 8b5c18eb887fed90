package core_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/core"
	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

func seed(t testing.TB) uint64 {
	s, err := strconv.ParseUint(os.Getenv("GRAPEVINE_SEED"), 10, 64)
	if err != nil {
		s = rand.Uint64N(report.MaxSeed)
	}
	t.Logf("replay: GRAPEVINE_SEED=%d go test -run '^%s$'", s, t.Name())
	return s
}

// stormy is everything that can go wrong at once, on a small network.
const stormy = `
description: everything at once
world: core
nodes: 40
network:
  dials: 5
  latency: {range: [10ms, 90ms]}
  classes:
    - {share: 50%, up_mbps: 20, down_mbps: 50}
    - {share: 50%, up_mbps: 5, down_mbps: 10}
  loss: 3%
  reorder: 5%
start: {wave: 2s}
settle: 3s
drain: 20s
txs: {per_second: 20, shapes: mainnet, for: 12s}
blocks: {producers: 5, slot: 1s}
churn: [{from: 1s, to: 6s, share: 20%, down: 3s}]
partitions: [{from: 2s, to: 8s, groups: [40%, 60%]}]
attackers:
  - {kind: duplicates, count: 2}
  - {kind: withholder, count: 2, from: 1s, to: 9s}
silent: 5%
`

func parse(t testing.TB, text string, seed uint64, sets ...string) *scenario.Scenario {
	s, err := scenario.Parse("test.yaml", []byte(text))
	require.NoError(t, err)
	for _, set := range sets {
		require.NoError(t, s.Set(set))
	}
	s.Seed = seed
	return s
}

func run(t testing.TB, s *scenario.Scenario) *report.Report {
	r, err := core.Run(t.Context(), s, core.Options{Trace: true})
	require.NoError(t, err)
	require.NoError(t, r.Validate())
	return r
}

func text(t testing.TB, r *report.Report) string {
	var out bytes.Buffer
	require.NoError(t, r.WriteJSON(&out))
	return out.String()
}

// TestReplay runs one seed again, with other numbers of processors, and
// another seed.
func TestReplay(t *testing.T) {
	of := seed(t)
	first := run(t, parse(t, stormy, of))
	for _, procs := range []int{1, 4} {
		before := runtime.GOMAXPROCS(procs)
		again := run(t, parse(t, stormy, of))
		runtime.GOMAXPROCS(before)
		require.Equal(t, text(t, first), text(t, again), "%d processors", procs)
	}
	other := run(t, parse(t, stormy, of+1))
	require.NotEqual(t, first.TraceHash, other.TraceHash)
}

// TestStorm holds what must come out of any storm: everybody on one chain,
// unless two became final while the network was parted, and nobody honest cut
// off. Of a thousand seeds some eight end with two, as the second one here.
func TestStorm(t *testing.T) {
	for _, of := range []uint64{seed(t), 8109067119936411} {
		storm(t, of)
	}
}

func storm(t *testing.T, of uint64) {
	r := run(t, parse(t, stormy, of))
	if !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.HasPrefix(n, core.Torn) }) {
		require.Equal(t, 1, *r.Chain.Heads)
	}
	require.Greater(t, *r.Chain.Height, uint64(3))
	require.Zero(t, *r.Attack.HonestBanned)
	require.Greater(t, r.Tx.Delivered, r.Tx.Expected/2)
	require.NotEmpty(t, r.Trace.Messages)
}

const half = `
description: two halves
world: core
nodes: 60
network:
  dials: 5
  latency: {range: [20ms, 150ms]}
  mbps: 50
settle: 2s
drain: 10s
txs: {per_second: 10, size: 250, for: 20s}
blocks: {producers: 12, slot: 1s}
partitions: [{from: 3s, to: 18s, groups: [50%, 50%]}]
`

// TestPartitionHeals: both halves make blocks and transactions, and end on one
// head; the blocks of the chain that lost are rolled back.
func TestPartitionHeals(t *testing.T) {
	of := seed(t)
	apart := run(t, parse(t, half, of, "drain=0s", "partitions=[{from: 3s, to: 21s, groups: [50%, 50%]}]", "txs.for=20s"))
	require.Greater(t, *apart.Chain.Heads, 1, "the halves do not differ, so that healing shows nothing")

	r := run(t, parse(t, half, of))
	require.Equal(t, 1, *r.Chain.Heads)
	require.Positive(t, *r.Chain.Rollbacks)
	require.Less(t, *r.Tx.DeliveryRatio, 1.0, "push gossip alone carried what was missed")
	require.Greater(t, *r.Block.DeliveryRatio, *apart.Block.DeliveryRatio)
}

// TestChurn: who was away catches up with the chain. A block that lost its
// place meanwhile need not come to all.
func TestChurn(t *testing.T) {
	r := run(t, parse(t, half, seed(t), "partitions=[]", "churn=[{from: 1s, to: 15s, share: 100%, down: 4s}]"))
	require.Equal(t, 1, *r.Chain.Heads)
	require.Greater(t, *r.Chain.Height, uint64(8))
	require.Greater(t, *r.Block.DeliveryRatio, 0.9)
}

// TestBlocksOfOneSize: Count blocks are made, and all arrive.
func TestBlocksOfOneSize(t *testing.T) {
	r := run(t, parse(t, half, seed(t), "partitions=[]", "txs={}", "blocks={count: 4, size: 100KiB, tx_size: 250, every: 3s}"))
	require.Equal(t, 4, r.Block.Published)
	require.Equal(t, 1.0, *r.Block.DeliveryRatio)
	require.Equal(t, uint64(4), *r.Chain.Height)
	size := float64(r.Bytes.PayloadDelivered) / float64(r.Block.Delivered)
	require.InEpsilon(t, 100<<10, size, 0.05)
}

func TestRefusals(t *testing.T) {
	for set, want := range map[string]string{
		"relay=vine": `relay is "vine"`,
		"world=sim":  "for world sim",
		"nodes=0":    "nodes is 0",
		"attackers=[{kind: slow-reader, count: 1}]":                           `"slow-reader", and world core has`,
		"blocks.producers=60":                                                 "",
		"attackers=[{kind: oversize, count: 1, params: {size: nonsense}}]":    `params.size`,
		"attackers=[{kind: duplicates, count: 1, params: {copies: 1000000}}]": `params.copies`,
	} {
		s := parse(t, half, 1)
		require.NoError(t, s.Set(set))
		s.Txs.For, s.Partitions, s.Drain = time.Second, nil, 0
		_, err := core.Run(t.Context(), s, core.Options{})
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want, "%s", set)
	}
}

func TestRunThatDoesNotFit(t *testing.T) {
	s := parse(t, half, 1, "nodes=100000", "txs.per_second=1000")
	_, err := core.Run(t.Context(), s, core.Options{MemoryMB: 1000})
	require.ErrorContains(t, err, "need about 1256")
	require.ErrorContains(t, err, "GB of memory and 1.0 GB are to be had")
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := parse(t, half, 1, "txs.for=1h")
	_, err := core.Run(ctx, s, core.Options{Progress: func(p core.Progress) {
		require.Equal(t, (2*time.Second + time.Hour + 10*time.Second).Seconds(), p.TotalS)
		cancel()
	}})
	require.ErrorIs(t, err, context.Canceled)
}

// TestShipped runs the small shipped scenarios of this world.
func TestShipped(t *testing.T) {
	for _, name := range []string{"smoke-core", "core-partition"} {
		s, err := scenario.Load(name)
		require.NoError(t, err)
		require.Empty(t, run(t, s).FailedExpectations, name)
	}
}

// BenchmarkThousandNodes is the goal of this world: a minute of a thousand
// nodes at 20 transactions a second, in less than a minute.
//
//	go test -run '^$' -bench ThousandNodes -benchtime 1x ./testnet/core
func BenchmarkThousandNodes(b *testing.B) {
	if testing.Short() {
		b.Skip("takes a minute")
	}
	s, err := scenario.Load("core-1000")
	require.NoError(b, err)
	for b.Loop() {
		r, err := core.Run(b.Context(), s, core.Options{})
		require.NoError(b, err)
		require.Empty(b, r.FailedExpectations)
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	b.ReportMetric(float64(mem.Sys)/1e6, "MB")
}

func ExampleRun() {
	s, err := scenario.Parse("tiny.yaml", []byte(`
description: three nodes in a row
world: core
nodes: 3
network: {dials: 1, latency: {range: [50ms, 50ms]}}
settle: 2s
drain: 1s
txs: {per_second: 1, size: 250, for: 4s}
`))
	if err != nil {
		panic(err)
	}
	r, err := core.Run(context.Background(), s, core.Options{})
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Tx.Published, "transactions,", r.Tx.Delivered, "deliveries,", r.Tx.LatencyMS.Max, "ms at most")
	// Output: 4 transactions, 8 deliveries, 100 ms at most
}
