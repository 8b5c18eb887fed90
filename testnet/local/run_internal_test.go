package local

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

func smoke(t *testing.T, settings ...string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Load("local-smoke")
	require.NoError(t, err)
	for _, set := range settings {
		require.NoError(t, s.Set(set))
	}
	require.NoError(t, s.Validate())
	return s
}

func TestRun(t *testing.T) {
	program := program(t)
	dir := filepath.Join(shortDir(t), "run")
	var phases []string
	r, err := Run(t.Context(), smoke(t), Options{
		Program: program, Dir: dir, Trace: true, Cores: cores(t),
		Progress: func(p Progress) {
			if len(phases) == 0 || phases[len(phases)-1] != p.Phase {
				phases = append(phases, p.Phase)
			}
		},
	})
	require.NoError(t, err)
	require.NoError(t, r.Validate())
	require.Empty(t, r.FailedExpectations)
	require.Equal(t, report.WorldLocal, r.World)
	require.Equal(t, 3, r.Links)
	require.Nil(t, r.VirtualS)
	require.Greater(t, r.Tx.Published, 5)
	require.Equal(t, 2*r.Tx.Published, r.Tx.Delivered)
	require.Equal(t, r.Tx.Published, *r.Tx.Included)
	require.Greater(t, r.Block.Published, 2)
	require.Equal(t, 2*r.Block.Published, r.Block.Delivered)
	require.Greater(t, r.Tx.LatencyMS.P50, 0.0)
	require.EqualValues(t, 250*r.Tx.Delivered, r.Bytes.PayloadDelivered)
	require.Greater(t, *r.Resources.CPUS, 0.0)
	require.GreaterOrEqual(t, *r.Tx.CopiesPerDelivery, 1.0)
	require.Equal(t, 1, *r.Chain.Heads)
	require.Subset(t, []string{Joining, Settling, Loading, Draining, Ending}, phases)
	require.Contains(t, phases, Loading)

	require.Len(t, r.Trace.Nodes, 3)
	require.Len(t, r.Trace.Messages, r.Tx.Published)
	require.Len(t, r.Trace.MeshLinks, 3)
	require.NotEmpty(t, r.Trace.Usage)
	for _, m := range r.Trace.Messages {
		require.Len(t, m.ArrivedMS, 2)
	}

	// The homes were asked for and stay; nothing runs in them.
	st, err := Look(t.Context(), dir)
	require.NoError(t, err)
	require.Equal(t, Off, st.Phase)
	for _, d := range st.Daemons {
		require.False(t, d.Alive)
	}
	_, err = Run(t.Context(), smoke(t), Options{Program: program, Dir: dir})
	require.ErrorIs(t, err, NotANetwork, "a run begins with fresh homes")
}

// cores are those to pin daemons to, where that works.
func cores(t *testing.T) []int {
	t.Helper()
	if onCore(0, func() error { return nil }) != nil {
		return nil
	}
	return []int{0}
}

// Without producers transactions only have to arrive.
func TestRunWithoutBlocks(t *testing.T) {
	r, err := Run(t.Context(), smoke(t, "blocks={}", "expect=[tx.delivery_ratio == 1]", "nodes=4", "txs.origins=1", "txs.for=1s"), Options{Program: program(t)})
	require.NoError(t, err)
	require.Empty(t, r.FailedExpectations)
	require.Nil(t, r.Tx.Included)
	require.Zero(t, r.Block.Published)
	require.Equal(t, 3*r.Tx.Published, r.Tx.Delivered)
}

// A broken promise is no error.
func TestRunJudges(t *testing.T) {
	r, err := Run(t.Context(), smoke(t, "expect=[tx.latency_ms.p50 < 0.000001]", "txs.for=1s"), Options{Program: program(t)})
	require.NoError(t, err)
	require.Len(t, r.FailedExpectations, 1)
}

// A daemon that is killed ends the run, with its name.
func TestRunLosesADaemon(t *testing.T) {
	dir := filepath.Join(shortDir(t), "run")
	killed := false
	_, err := Run(t.Context(), smoke(t), Options{
		Program: program(t), Dir: dir,
		Progress: func(p Progress) {
			if p.Phase != Loading || killed {
				return
			}
			killed = true
			s, err := readState(dir)
			if err == nil {
				err = syscall.Kill(s.Nodes[1].PID, syscall.SIGKILL)
			}
			if err != nil {
				t.Error(err)
			}
		},
	})
	require.True(t, killed)
	require.Error(t, err)
	require.ErrorContains(t, err, "node-01")
	st, err := Look(t.Context(), dir)
	require.NoError(t, err)
	for _, d := range st.Daemons {
		require.False(t, d.Alive)
	}
}

// One that does not even start is told with its last words.
func TestRunWithBrokenDaemon(t *testing.T) {
	program := program(t)
	t.Setenv("LOCAL_TEST_BROKEN", "node-02")
	_, err := Run(t.Context(), smoke(t), Options{Program: program})
	require.ErrorContains(t, err, "node-02 ended while the network started: exit status 1")
	require.ErrorContains(t, err, "node-02 is broken on purpose")

	_, err = Run(t.Context(), smoke(t), Options{Program: []string{"/nowhere/grapevine"}})
	require.ErrorContains(t, err, "/nowhere/grapevine")
}

// The end of ctx ends a run wherever it is, and nothing stays.
func TestRunEndsWithItsContext(t *testing.T) {
	program := program(t)
	top := shortDir(t)
	t.Setenv("TMPDIR", top)
	gone := errors.New("nobody waits any more")
	for _, in := range []string{Joining, Settling, Loading, Draining} {
		ctx, cancel := context.WithCancelCause(t.Context())
		_, err := Run(ctx, smoke(t, "txs.for=1s"), Options{
			Program: program,
			Progress: func(p Progress) {
				if p.Phase == in {
					cancel(gone)
				}
			},
		})
		if err != nil || in != Draining { // draining may be over before anybody sees it
			require.ErrorIs(t, err, gone, in)
		}
		entries, err := os.ReadDir(top)
		require.NoError(t, err)
		require.Empty(t, entries, in)
	}
}

func TestUpEnds(t *testing.T) {
	program := program(t)
	dir := filepath.Join(shortDir(t), "net")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan string, 1)
	o := UpOptions{
		Dir: dir, Plan: Plan{Nodes: 2, Slot: 200 * time.Millisecond}, Program: program,
		Ready: func(s *Status) {
			if !s.Ready || s.Phase != On {
				t.Errorf("told too early: %+v", s)
			}
			if err := syscall.Kill(s.Daemons[1].PID, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		},
		Ended: func(name, why, _ string) {
			ended <- name + ": " + why
			cancel()
		},
	}
	require.NoError(t, Up(ctx, o), "a daemon that is killed is told, and left alone")
	require.Equal(t, "node-01: signal: killed", <-ended)
	require.ErrorIs(t, Up(ctx, o), ErrEarly, "ctx has ended")

	n, err := Down(t.Context(), dir)
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestCheckNamesEveryKey(t *testing.T) {
	s, err := scenario.Parse("x.yaml", []byte(`description: Everything that loopback cannot do.
world: local
nodes: 10
network:
  dials: 2
  latency: {preset: aws-8}
  classes: [{share: 1, up_mbps: 5}]
  loss: 1%
  reorder: 1%
silent: 10%
verify_cost: 1ms
txs: {per_second: 1, size: 250, for: 1s}
blocks: {count: 1, size: 1000, tx_size: 250, every: 1s, pooled: 50%}
churn: [{from: 1s, to: 2s, share: 50%, down: 1s}]
partitions: [{from: 1s, to: 2s, groups: [50%, 50%]}]
attackers: [{kind: spammer, count: 1, params: {per_secund: 5}}]
`))
	if err != nil && strings.Contains(err.Error(), "preset") {
		t.Fatalf("the test needs the name of a preset: %v", scenario.Presets())
	}
	require.NoError(t, err)
	err = Check(s)
	for _, want := range []string{
		"x.yaml:6: network.latency", "x.yaml:7: network.classes", "x.yaml:8: network.loss", "x.yaml:9: network.reorder",
		"x.yaml:10: silent", "x.yaml:11: verify_cost", "x.yaml:13: blocks.count", "blocks.size", "blocks.tx_size", "blocks.every", "blocks.pooled",
		"x.yaml:14: churn", "set txs.origins", "x.yaml:15: partitions",
	} {
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, Check(smoke(t)))
	_, err = Run(t.Context(), s, Options{})
	require.ErrorContains(t, err, "x.yaml:8: network.loss")
}

func TestParseMetrics(t *testing.T) {
	r, err := parseMetrics(strings.NewReader(`# HELP grapevine_transactions_duplicate_total Further copies.
# TYPE grapevine_transactions_duplicate_total counter
grapevine_transactions_duplicate_total 5
grapevine_transactions_judged_total{rule="",verdict="accept"} 7
grapevine_transactions_judged_total{rule="stale",verdict="ignore"} 1
grapevine_messages_dropped_total{side="send",topic="tx"} 2
grapevine_offences_total{offence="invalid message"} 3
grapevine_offences_total{offence="flood"} 4
grapevine_blocks_rebuilt_total{how="at_once"} 10
grapevine_blocks_rebuilt_total{how="empty"} 20
grapevine_blocks_rebuilt_total{how="rounds"} 2
grapevine_blocks_rebuilt_total{how="whole"} 1
process_cpu_seconds_total 1.25
go_memstats_heap_alloc_bytes 1.5e+07
go_gc_heap_live_bytes 1.2e+07
process_resident_memory_bytes 6e+07
something_else NaN
nonsense
`))
	require.NoError(t, err)
	require.Equal(t, reading{copies: 13, dropped: 2, blamed: 7, rebuilt: 13, asked: 3, cpu: 1.25, heap: 1.5e7, live: 1.2e7, rss: 6e7}, r)
}
