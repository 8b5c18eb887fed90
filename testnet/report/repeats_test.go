package report_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

func TestSpread(t *testing.T) {
	run := func(p99 float64, seed uint64, change func(*report.Report)) *report.Report {
		r := &report.Report{Scenario: "x", World: report.WorldSim, Relay: "gossip", Seed: seed, Nodes: 3}
		r.Tx.LatencyMS = &report.Percentiles{P50: 1, P90: 2, P99: p99, Max: 1000}
		if change != nil {
			change(r)
		}
		return r
	}
	row := func(s *report.Repeats, field string) *report.RepeatsRow {
		for _, r := range s.Rows {
			if r.Field == field {
				return &r
			}
		}
		return nil
	}
	s, err := report.RepeatsOf([]*report.Report{run(110, 1, nil), run(90, 1, nil), run(100, 1, nil)})
	require.NoError(t, err)
	p99 := row(s, "tx.latency_ms.p99")
	require.NotNil(t, p99)
	require.Equal(t, report.RepeatsRow{Field: "tx.latency_ms.p99", Min: 90, Median: 100, Max: 110, Spread: report.Measured(0.2)}, *p99)
	require.Nil(t, row(s, "tx.published").Spread, "nothing is no measure of nothing")
	require.Empty(t, s.Notes)
	require.Nil(t, row(s, "block.latency_ms.p50"), "not measured by all")

	s, err = report.RepeatsOf([]*report.Report{run(110, 1, nil), run(90, 2, func(r *report.Report) { r.Relay = "stock\x1b[2J" })})
	require.NoError(t, err)
	require.InDelta(t, 100, row(s, "tx.latency_ms.p99").Median, 0)
	require.Len(t, s.Notes, 2)
	var w strings.Builder
	require.NoError(t, s.WriteTable(&w))
	require.Contains(t, w.String(), "20.0 %")
	require.Contains(t, w.String(), "note: the runs differ in seed: 1 and 2")
	require.NotContains(t, w.String(), "\x1b")

	w.Reset()
	runs := []*report.Report{run(110, 1, nil), run(90, 12, func(r *report.Report) { r.Tx.LatencyMS = nil })}
	require.NoError(t, report.WriteEach(&w, runs, []string{"nodes", "tx.latency_ms.p99"}))
	var fields [][]string
	for line := range strings.Lines(w.String()) {
		fields = append(fields, strings.Fields(line))
	}
	require.Equal(t, [][]string{{"seed", "nodes", "tx.latency_ms.p99"}, {"1", "3", "110"}, {"12", "3", "–"}}, fields)
	require.ErrorContains(t, report.WriteEach(&w, runs, []string{"tx.latency"}), `no report has a figure "tx.latency"`)

	_, err = report.RepeatsOf([]*report.Report{run(1, 1, nil)})
	require.ErrorIs(t, err, report.ErrTooFew)
}
