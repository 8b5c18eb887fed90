package report_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

func TestFigures(t *testing.T) {
	r := full()
	r.Block.LatencyMS, r.Block.CopiesPerDelivery = r.Tx.LatencyMS, r.Tx.CopiesPerDelivery
	names := report.Figures()
	for _, want := range []string{"seed", "tx.delivery_ratio", "tx.latency_ms.p99", "tx.dropped", "block.copies_per_delivery", "floor_ms.max", "attack.time_to_evict_s.p50", "chain.heads", "resources.cpu_s"} {
		require.Contains(t, names, want)
	}
	for _, name := range names {
		_, err := r.Figure(name)
		require.NoError(t, err, name)
	}
	got, err := r.Figure("tx.latency_ms.p90")
	require.NoError(t, err)
	require.Equal(t, 2.25, got)

	r.Tx.LatencyMS, r.Block.LatencyMS, r.Bytes.Wire = nil, nil, nil
	for _, name := range []string{"tx.latency_ms.p90", "bytes.wire", "block.latency_ms.p50"} {
		_, err = r.Figure(name)
		require.ErrorIs(t, err, report.ErrUnmeasured)
		require.ErrorContains(t, err, name)
	}
	for _, name := range []string{"", "tx", "latency_ms", "tx.latency_ms", "notes", "attack.kind", "tx.p99", "tx.published.x"} {
		_, err = r.Figure(name)
		require.Error(t, err, "%q", name)
		require.NotContains(t, names, name)
	}
}

func TestParseCondition(t *testing.T) {
	for text, want := range map[string]report.Condition{
		"tx.delivery_ratio==1":                {Field: "tx.delivery_ratio", Op: "==", Value: 1},
		" tx.latency_ms.p99 <= 2.5e2 ":        {Field: "tx.latency_ms.p99", Op: "<=", Value: 250},
		"tx.latency_ms.p99 > 1.1x":            {Field: "tx.latency_ms.p99", Op: ">", Value: 1.1, Times: true},
		"tx.latency_ms.p99 < 2x floor_ms.p99": {Field: "tx.latency_ms.p99", Op: "<", Value: 2, Times: true, Of: "floor_ms.p99"},
		"attack.honest_banned != 0":           {Field: "attack.honest_banned", Op: "!=", Value: 0},
		"bytes.wire_per_payload >= -3":        {Field: "bytes.wire_per_payload", Op: ">=", Value: -3},
	} {
		got, err := report.ParseCondition(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		again, err := report.ParseCondition(got.String())
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
	for text, want := range map[string]string{
		"":                       "no condition",
		"tx.delivery_ratio":      "no condition",
		"tx.delivery_ratio = 1":  "no condition",
		"tx.delivery_ratio => 1": "no condition",
		"1 < tx.delivery_ratio":  "no condition",
		"nodes > 1e999":          "is no number",
		"nodes > 1-1":            "is no number",
		"tx.latency.p99 < 3":     `figure "tx.latency.p99"; there are tx.latency_ms.p99`,
		"nodes < 2x floor.p99":   `figure "floor.p99"`,
	} {
		_, err := report.ParseCondition(text)
		require.ErrorContains(t, err, want, text)
	}
}

func condition(t *testing.T, text string) report.Condition {
	c, err := report.ParseCondition(text)
	require.NoError(t, err)
	return c
}

func TestHolds(t *testing.T) {
	a, b := full(), full()
	b.Tx.LatencyMS = &report.Percentiles{P50: 1.5, P90: 2.25, P99: 9.9, Max: 31}
	for text, want := range map[string]bool{
		"tx.latency_ms.p99 > 1.1x":              false, // 9.9 is just that
		"tx.latency_ms.p99 >= 1.1x":             true,
		"tx.latency_ms.p99 > 1.09x":             true,
		"tx.latency_ms.p99 < 3.4x floor_ms.p99": true, // of b's own floor
		"tx.latency_ms.p99 < 3.2x floor_ms.p99": false,
		"nodes == 7":                            true,
		"nodes != 7":                            false,
		"nodes < 7":                             false,
		"nodes <= 7":                            true,
	} {
		holds, _, err := condition(t, text).Holds(b, a)
		require.NoError(t, err)
		require.Equal(t, want, holds, text)
	}
	_, _, err := condition(t, "nodes > 1x").Holds(b, nil)
	require.ErrorContains(t, err, "needs a report to compare with")
}

func TestJudge(t *testing.T) {
	r := full()
	r.FailedExpectations, r.Notes = nil, nil
	r.FloorMS = nil
	r.Judge([]report.Promise{
		{Condition: condition(t, "tx.delivery_ratio == 1")},
		{Condition: condition(t, "tx.latency_ms.p99 <= 9")},
		{Condition: condition(t, "tx.latency_ms.p99 <= 2x floor_ms.p99")},
		{Condition: condition(t, "tx.latency_ms.p50 <= 1"), KnownGap: "one"},
		{Condition: condition(t, "tx.latency_ms.p50 <= 2"), KnownGap: "two"},
	})
	require.Equal(t, []string{
		"tx.delivery_ratio is 0.998333, want tx.delivery_ratio == 1",
		"floor_ms.p99 is null: not measured, want tx.latency_ms.p99 <= 2x floor_ms.p99",
	}, r.FailedExpectations)
	require.Equal(t, []string{
		"known gap: tx.latency_ms.p50 is 1.5, want tx.latency_ms.p50 <= 1: one",
		"known gap closed: tx.latency_ms.p50 <= 2 holds (tx.latency_ms.p50 is 1.5); it was expected not to: two",
	}, r.Notes)
	require.Equal(t, 1, r.KnownGaps())
}

func TestCompare(t *testing.T) {
	a, b := full(), full()
	a.FailedExpectations, b.FailedExpectations = []string{"a's own business"}, []string{"b lost one"}
	b.Relay, b.Seed = report.RelayStock, 8
	b.Tx.LatencyMS = &report.Percentiles{P50: 3, P90: 2.25, P99: 9.9, Max: 31}
	b.Block.LatencyMS = &report.Percentiles{P50: 1}
	b.Bytes.Wire = nil
	a.Attack.Attackers = 0

	c, err := report.Compare(a, b, []report.Condition{condition(t, "tx.latency_ms.p99 > 1.05x"), condition(t, "tx.latency_ms.p99 > 1.2x"), condition(t, "nodes > 5")})
	require.NoError(t, err)
	require.Equal(t, []string{
		"b lost one",
		"tx.latency_ms.p99 is 9.9 (1.05x is 9.45), which is tx.latency_ms.p99 > 1.05x",
		"nodes is 7, which is nodes > 5",
	}, c.FailedExpectations)
	require.Equal(t, []string{"the runs differ in seed: 9007199254740991 and 8", "the runs differ in attackers: none and 2 × spam"}, c.Notes)

	rows := make(map[string]report.Row)
	for _, row := range c.Rows {
		rows[row.Field] = row
	}
	require.Equal(t, 2.0, *rows["tx.latency_ms.p50"].Ratio)
	require.Nil(t, rows["bytes.wire"].B)
	require.Nil(t, rows["bytes.wire"].Ratio)
	require.Nil(t, rows["attack.attackers"].Ratio, "nothing is a multiple of zero")
	require.Nil(t, rows["block.latency_ms.p50"].A)
	require.NotContains(t, rows, "attack.time_to_evict_s.p99")

	var table bytes.Buffer
	require.NoError(t, c.WriteTable(&table))
	require.Regexp(t, `FIGURE +A: demo vine seed 9007199254740991 +B: demo stock seed 8 +B ÷ A`, table.String())
	require.Regexp(t, `tx.latency_ms.p99 +9 +9.9 +1.1`, table.String())
	require.Regexp(t, `bytes.wire +12345678 +– +–`, table.String())

	_, err = report.Compare(a, b, []report.Condition{condition(t, "bytes.wire > 1.1x")})
	require.ErrorIs(t, err, report.ErrUnmeasured)
}

// TestIncomparable: runs of one scenario can be runs of two networks.
func TestIncomparable(t *testing.T) {
	for want, change := range map[string]func(*report.Report){
		"scenario: demo and other":                        func(r *report.Report) { r.Scenario = "other" },
		"world: sim and core":                             func(r *report.Report) { r.World = report.WorldCore },
		"nodes: 7 and 8":                                  func(r *report.Report) { r.Nodes, r.Links = 8, 17 },
		"seed: 9007199254740991 and 2":                    func(r *report.Report) { r.Seed, r.Links = 2, 14 },
		"links: 15 and 14":                                func(r *report.Report) { r.Links = 14 },
		"attackers: 2 × spam and 2 × silent":              func(r *report.Report) { r.Attack.Kind = "silent" },
		"attackers: 2 × spam and none":                    func(r *report.Report) { r.Attack.Attackers = 0 },
		"settings: network.loss=2% and none":              func(r *report.Report) { r.Settings = nil },
		"settings: network.loss=2% and a.b=c, d=\\x1b[2J": func(r *report.Report) { r.Settings = []string{"a.b=c", "d=\x1b[2J"} },
	} {
		a, b := full(), full()
		change(b)
		c, err := report.Compare(a, b, nil)
		require.NoError(t, err)
		require.Len(t, c.Notes, 1)
		require.Equal(t, "the runs differ in "+want, report.Printable(c.Notes[0]))
		s, err := report.RepeatsOf([]*report.Report{a, a, b, b})
		require.NoError(t, err)
		require.Equal(t, c.Notes, s.Notes)
	}
	c, err := report.Compare(full(), full(), nil)
	require.NoError(t, err)
	require.Empty(t, c.Notes)
}

func TestFilesAreWholeOrNotThere(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "out.json")
	require.NoError(t, full().WriteFile(name))
	before, err := os.ReadFile(name)
	require.NoError(t, err)

	broken := report.WriteFile(name, func(w io.Writer) error {
		_, err := w.Write(bytes.Repeat([]byte("x"), 1<<16))
		require.NoError(t, err)
		return syscall.ENOSPC
	})
	require.ErrorIs(t, broken, syscall.ENOSPC)
	require.ErrorContains(t, broken, "write "+name+": no space left on device")
	after, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, before, after)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "a half file was left")

	require.NoError(t, report.Writable(name))
	require.NoError(t, report.Writable(filepath.Join(dir, "new.json")))
	require.ErrorContains(t, report.Writable(filepath.Join(dir, "no", "such", "out.json")), "out.json: no such file or directory")
	left, err = os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "a trial was left")

	gone := full().WriteFile(filepath.Join(dir, "no", "such", "out.json"))
	require.ErrorIs(t, gone, os.ErrNotExist)
	require.ErrorContains(t, gone, "out.json: no such file or directory")
	require.Error(t, full().WriteFile(dir), "a folder")
	left, err = os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
}

// TestFullDisk writes to the device that is always full.
func TestFullDisk(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	defer f.Close()
	require.ErrorIs(t, full().WriteJSON(f), syscall.ENOSPC)
}

func TestReadFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "r.json")
	want := full()
	want.Trace = &report.Trace{MeshLinks: [][2]int{{0, 1}}}
	require.NoError(t, want.WriteFile(name))
	got, err := report.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, want, got)

	for text, wrong := range map[string]string{
		"":                      "it is no report",
		"{}":                    `world is ""`,
		"[1]":                   "it is no report",
		`{"nodes": "many"}`:     "it is no report",
		`{"error": {"code":1}}`: "it is no report",
	} {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		_, err := report.ReadFile(name)
		require.ErrorContains(t, err, wrong)
		require.ErrorContains(t, err, name)
	}
	_, err = report.ReadFile(name + "x")
	require.ErrorIs(t, err, os.ErrNotExist)
}
