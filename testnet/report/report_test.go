package report_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

var rewrite = flag.Bool("rewrite", false, "write golden files instead of comparing")

func full() *report.Report {
	spread := report.Spread{
		Published: 100, Expected: 600, Delivered: 599,
		DeliveryRatio:     report.Ratio(599, 600),
		LatencyMS:         &report.Percentiles{P50: 1.5, P90: 2.25, P99: 9, Max: 31.125},
		CopiesPerDelivery: report.Ratio(1800, 599),
	}
	r := &report.Report{
		Scenario: "demo", World: report.WorldSim, Relay: report.RelayVine, Seed: report.MaxSeed,
		Nodes: 7, Settings: []string{"network.loss=2%"}, Links: 15, VirtualS: report.Measured(20.0), WallS: 1.25,
		Tx: report.Tx{Spread: spread, WaitedMS: spread.LatencyMS, Included: report.Measured(100), Refused: report.Measured(0), Dropped: report.Measured(2)},
		Block: report.Block{
			Spread:                     report.Spread{Published: 10, Expected: 60, Delivered: 60, DeliveryRatio: report.Ratio(60, 60)},
			RebuiltWithoutRequestRatio: report.Ratio(59, 60),
		},
		Chain:   report.Chain{Heads: report.Measured(1), Height: report.Measured(uint64(10)), Rollbacks: report.Measured(0), Lost: report.Measured(1)},
		FloorMS: &report.Percentiles{P50: 1, P90: 2, P99: 3, Max: 4},
		Bytes: report.Bytes{
			Wire: report.Measured(uint64(12345678)), PayloadDelivered: 600_000,
			WirePerPayload: report.Ratio(12345678, 600_000), IdlePerNodeS: report.Measured(812.5),
		},
		Attack: report.Attack{
			Attackers: 2, Kind: "spam", EvictedRatio: report.Ratio(1, 2),
			TimeToEvictS: &report.EvictedS{P50: 1.5, Max: 3}, HonestBanned: report.Measured(0), ChargedRatio: report.Ratio(1, 2), HonestCharged: report.Measured(0), EvidenceRatio: report.Measured(1.0), VictimOutbound: report.Measured(4), VictimInbound: report.Measured(100), HonestMeshRatio: report.Measured(0.9),
			Before: &report.Phase{Tx: spread, Block: spread, CPUPerS: report.Measured(0.25), OthersCPUPerS: report.Measured(0.01)}, During: &report.Phase{Tx: spread, Block: spread, CPUPerS: report.Measured(0.5), OthersCPUPerS: report.Measured(0.02)},
			HeapGrowthMB: report.Measured(1.5), RSSGrowthMB: report.Measured(12.0),
		},
		Members: &report.Members{
			Deaths: 4, NoticedRatio: report.Measured(0.75), NoticedMS: &report.Percentiles{P50: 7000, P90: 8000, P99: 9000, Max: 9500},
			FalseDeaths: 1, FalseDeathsPerNodeDay: report.Measured(0.1), Suspicions: 12,
		},
		Heal: &report.Heal{
			CrossedS: report.Measured(0.5), EqualS: report.Measured(3.5), EqualAfterCrossingS: report.Measured(3.0),
			MissingBytes: 5000, WireBytes: report.Measured(uint64(7500)), WirePerMissing: report.Ratio(7500, 5000),
		},
		Overlap:   &report.Overlap{Before: &report.Phase{Tx: spread, Block: spread, CPUPerS: report.Measured(0.25), OthersCPUPerS: report.Measured(0.01)}, During: &report.Phase{Tx: spread, Block: spread, CPUPerS: report.Measured(0.5), OthersCPUPerS: report.Measured(0.02)}, UplinkUse: report.Measured(0.75)},
		Resources: report.Resources{HeapMBPerNode: report.Measured(12.5), HeapPeakMBPerNode: report.Measured(14.5), CPUSPerDelivery: report.Measured(0.0012), CPUS: report.Measured(0.72), CPUSPerNode: report.Measured(0.102857), MempoolShare: report.Measured(0.5)},
		TraceHash: report.Measured("c0ffee"),
	}
	r.Fail("%d of %d transactions did not reach every node", 1, 100)
	r.Note("no attackers were harmed <here>")
	return r
}

func TestGolden(t *testing.T) {
	for name, r := range map[string]*report.Report{
		"full":       full(),
		"unmeasured": {Scenario: "demo", World: report.WorldLocal, Relay: report.RelayGossip, Attack: report.Attack{Kind: report.NoAttack}},
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			require.NoError(t, r.WriteJSON(&got))
			path := filepath.Join("testdata", name+".json")
			if *rewrite {
				require.NoError(t, os.WriteFile(path, got.Bytes(), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err, "run with -rewrite to make it")
			require.Equal(t, string(want), got.String())
		})
	}
}

// TestEveryPromisedKey names the keys that other programs read. A key leaves
// this list only with a new version of the format.
func TestEveryPromisedKey(t *testing.T) {
	spread := []string{"published", "expected", "delivered", "delivery_ratio", "latency_ms", "copies_per_delivery"}
	quantiles := []string{"p50", "p90", "p99", "max"}
	promised := map[string][]string{
		"": {
			"scenario", "world", "relay", "seed", "nodes", "links", "virtual_s", "wall_s", "tx", "block", "floor_ms",
			"bytes", "attack", "resources", "failed_expectations",
		},
		"tx":            spread,
		"tx.latency_ms": quantiles,
		"block":         append(slices.Clone(spread), "rebuilt_without_request_ratio"),
		"floor_ms":      quantiles,
		"bytes":         {"wire", "payload_delivered", "wire_per_payload", "idle_per_node_s"},
		"attack":        {"attackers", "kind", "evicted_ratio", "time_to_evict_s", "honest_banned", "charged_ratio", "honest_charged", "victim_honest_outbound", "honest_mesh_ratio"},
		"resources":     {"heap_mb_per_node", "cpu_s_per_delivery"},
	}
	var b bytes.Buffer
	require.NoError(t, full().WriteJSON(&b))
	var doc map[string]any
	require.NoError(t, json.Unmarshal(b.Bytes(), &doc))
	for at, keys := range promised {
		part := walk(t, doc, at)
		for _, key := range keys {
			require.Contains(t, part, key, "in %q", at)
		}
	}
}

func walk(t *testing.T, doc map[string]any, path string) map[string]any {
	for step := range strings.SplitSeq(path, ".") {
		if step == "" {
			continue
		}
		inner, ok := doc[step].(map[string]any)
		require.True(t, ok, "no object at %q", path)
		doc = inner
	}
	return doc
}

func TestValidate(t *testing.T) {
	require.NoError(t, full().Validate())
	bad := full()
	bad.World, bad.Relay, bad.Seed = "moon", "pigeon", report.MaxSeed+1
	bad.Tx.Delivered = bad.Tx.Expected + 1
	bad.Block.CopiesPerDelivery = report.Measured(0.5)
	err := bad.Validate()
	for _, want := range []string{`world is "moon"`, `relay is "pigeon"`, "seed is", "tx: delivered 601 of 600", "block: 0.5 copies"} {
		require.ErrorContains(t, err, want)
	}
}

// TestImpossibleFigures: conditions are judged by what a report claims, so it
// may not claim what no run can have.
func TestImpossibleFigures(t *testing.T) {
	for want, claim := range map[string]func(*report.Report){
		"tx.delivery_ratio is 7, want at most 1":                             func(r *report.Report) { r.Tx.DeliveryRatio = report.Measured(7.0) },
		"block.rebuilt_without_request_ratio is -1, want at least 0":         func(r *report.Report) { r.Block.RebuiltWithoutRequestRatio = report.Measured(-1.0) },
		"attack.evicted_ratio is 1.5":                                        func(r *report.Report) { r.Attack.EvictedRatio = report.Measured(1.5) },
		"attack.during.block.delivery_ratio is 2":                            func(r *report.Report) { r.Attack.During.Block.DeliveryRatio = report.Measured(2.0) },
		"tx.latency_ms.p90 is 2.25, and tx.latency_ms.p99 is -5":             func(r *report.Report) { r.Tx.LatencyMS.P99 = -5 },
		"tx.latency_ms.p50 is -1, want at least 0":                           func(r *report.Report) { r.Tx.LatencyMS.P50 = -1 },
		"floor_ms.p99 is 3, and floor_ms.max is 2, which is less":            func(r *report.Report) { r.FloorMS.Max = 2 },
		"attack.time_to_evict_s.p50 is 4, and attack.time_to_evict_s.max is": func(r *report.Report) { r.Attack.TimeToEvictS.P50 = 4 },
		"nodes is -7":                      func(r *report.Report) { r.Nodes = -7 },
		"block.published is -1":            func(r *report.Report) { r.Block.Published = -1 },
		"tx.dropped is -1":                 func(r *report.Report) { r.Tx.Dropped = report.Measured(-1) },
		"wall_s is NaN":                    func(r *report.Report) { r.WallS = math.NaN() },
		"resources.heap_mb_per_node is -1": func(r *report.Report) { r.Resources.HeapMBPerNode = report.Measured(-1.0) },
	} {
		r := full()
		claim(r)
		require.ErrorContains(t, r.Validate(), want)
	}
}

// TestContradictions: a report that was read may claim a ratio, and not what the
// ratio is of.
func TestContradictions(t *testing.T) {
	for want, claim := range map[string]func(*report.Report){
		"tx: a delivery ratio of 1, and delivered 1 of 864 expected": func(r *report.Report) {
			r.Tx.Expected, r.Tx.Delivered, r.Tx.DeliveryRatio = 864, 1, report.Measured(1.0)
		},
		"block: a delivery ratio of 0.99, and delivered 60 of 60":             func(r *report.Report) { r.Block.DeliveryRatio = report.Measured(0.99) },
		"block: a delivery ratio of 1, and delivered 0 of 0":                  func(r *report.Report) { r.Block.Expected, r.Block.Delivered = 0, 0 },
		"attack.before.tx: a delivery ratio of 0.5, and delivered 599 of 600": func(r *report.Report) { r.Attack.Before.Tx.DeliveryRatio = report.Measured(0.5) },
		"overlap.during.block: delivered 601 of 600 expected":                 func(r *report.Report) { r.Overlap.During.Block.Delivered = 601 },
		"attack.during.block: delivered 601 of 600 expected":                  func(r *report.Report) { r.Attack.During.Block.Delivered = 601 },
		"attack.during.tx: a latency of what was not delivered": func(r *report.Report) {
			r.Attack.During.Tx.Delivered, r.Attack.During.Tx.DeliveryRatio = 0, report.Measured(0.0)
		},
		"tx: a latency of what was not delivered": func(r *report.Report) { r.Tx.Expected, r.Tx.Delivered, r.Tx.DeliveryRatio = 0, 0, nil },
	} {
		r := full()
		r.Attack.Before, r.Attack.During = &report.Phase{Tx: r.Tx.Spread}, &report.Phase{Tx: r.Tx.Spread, Block: r.Tx.Spread}
		claim(r)
		require.ErrorContains(t, r.Validate(), want)
	}
	for _, delivered := range []int{0, 1, 7, 599_999, 600_000} {
		r := full()
		r.Tx.Expected, r.Tx.Delivered, r.Tx.DeliveryRatio = 600_000, delivered, report.Ratio(float64(delivered), 600_000)
		if delivered == 0 {
			r.Tx.LatencyMS = nil
		}
		require.NoError(t, r.Validate(), delivered)
	}
}

// TestPercentilesNeverPassTheLargest: kept values are rounded otherwise than
// the largest one.
func TestPercentilesNeverPassTheLargest(t *testing.T) {
	var s report.Sample
	s.Add(100_000.005)
	require.Equal(t, &report.Percentiles{P50: 100_000.005, P90: 100_000.005, P99: 100_000.005, Max: 100_000.005}, s.Percentiles())
}

func TestPrintable(t *testing.T) {
	for _, text := range []string{"", `as it is: "B ÷ A", 20 µs\`} {
		require.Equal(t, text, report.Printable(text))
	}
	for text, want := range map[string]string{
		"x\x1b[2J\nline2": `x\x1b[2J\nline2`,
		"right\u202eleft": `right\u202eleft`,
		"\r\x00\x9b":      `\r\x00\x9b`,
	} {
		require.Equal(t, want, report.Printable(text))
	}
}

// TestPercentilesAgainstNaive compares with the definition: the smallest value
// for which at least that many in a hundred values are not above it.
func TestPercentilesAgainstNaive(t *testing.T) {
	naive := func(values []int, percent int) float64 {
		for _, v := range slices.Sorted(slices.Values(values)) {
			n := 0
			for _, w := range values {
				if w <= v {
					n++
				}
			}
			if n*100 >= percent*len(values) {
				return float64(v)
			}
		}
		panic("no value")
	}
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.IntRange(-1000, 1000), 1, 250).Draw(t, "values")
		var s report.Sample
		for _, v := range values {
			s.Add(float64(v))
		}
		want := &report.Percentiles{P50: naive(values, 50), P90: naive(values, 90), P99: naive(values, 99), Max: naive(values, 100)}
		require.Equal(t, want, s.Percentiles())
		require.Equal(t, len(values), s.Len())
	})
}

func TestNoSampleIsNotZero(t *testing.T) {
	var s report.Sample
	require.Nil(t, s.Percentiles())
	require.Nil(t, report.Ratio(1, 0))
	require.NotNil(t, report.Ratio(0, 1))
}

// TestSampleIsBounded feeds a ramp of three times the bound: the percentiles
// of a uniform sample must stay near those of the ramp.
func TestSampleIsBounded(t *testing.T) {
	const n = 3 * report.MaxSamples
	var s report.Sample
	for i := range n {
		s.Add(float64(i))
	}
	p := s.Percentiles()
	require.Equal(t, n, s.Len())
	require.InEpsilon(t, 0.50*n, p.P50, 0.01)
	require.InEpsilon(t, 0.99*n, p.P99, 0.01)
	require.Equal(t, float64(n-1), p.Max)
}

func ExampleSample() {
	var latency report.Sample
	for ms := range 100 {
		latency.Add(float64(ms + 1))
	}
	fmt.Printf("%+v\n", *latency.Percentiles())
	// Output: {P50:50 P90:90 P99:99 Max:100}
}
