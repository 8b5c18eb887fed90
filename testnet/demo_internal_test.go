package testnet

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// small is a network that a busy machine runs in a few seconds.
func small(t *testing.T, nodes int) DemoOptions {
	o := DefaultDemoOptions()
	o.Nodes = nodes
	o.Slot = 500 * time.Millisecond
	o.Progress = func(s Snapshot) {
		t.Logf("%s %v: published %d, delivered %d/%d, included %d, blocks %d, heads %v %s",
			s.Phase, s.Elapsed.Round(time.Second), s.Published, s.Delivered, s.Expected, s.Included, s.Blocks, heights(s), s.Waiting)
	}
	return o
}

func heights(s Snapshot) (out []uint64) {
	for _, n := range s.Nodes {
		out = append(out, n.Height)
	}
	return out
}

func show(t *testing.T, r *report.Report) {
	var b strings.Builder
	require.NoError(t, r.WriteJSON(&b))
	t.Log(b.String())
	require.NoError(t, r.Validate())
	require.True(t, json.Valid([]byte(b.String())))
}

// leavesNothing runs what follows with a temporary folder of its own, and
// afterwards wants it empty and every goroutine gone.
func leavesNothing(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		goleak.VerifyNone(t, before)
		left, err := os.ReadDir(tmp)
		require.NoError(t, err)
		require.Empty(t, left)
	})
}

func TestDemoDeliversEverythingEverywhere(t *testing.T) {
	leavesNothing(t)
	o := small(t, 4)
	o.For = 10 * time.Second // eight of them under load
	r, err := Demo(t.Context(), o)
	require.NoError(t, err)
	show(t, r)

	require.Empty(t, r.FailedExpectations)
	require.Greater(t, r.Tx.Published, 150)
	require.Equal(t, r.Tx.Published*3, r.Tx.Expected)
	require.Equal(t, r.Tx.Expected, r.Tx.Delivered)
	require.Equal(t, 1.0, *r.Tx.DeliveryRatio)
	require.Equal(t, r.Tx.Published, *r.Tx.Included)
	require.Zero(t, *r.Tx.Dropped)
	require.Zero(t, *r.Tx.Refused)
	require.GreaterOrEqual(t, *r.Tx.CopiesPerDelivery, 1.0)
	require.Positive(t, r.Tx.LatencyMS.P50)
	require.GreaterOrEqual(t, r.Tx.LatencyMS.Max, r.Tx.LatencyMS.P99)
	require.Greater(t, r.Block.Published, 5)
	require.Equal(t, r.Block.Expected, r.Block.Delivered)
	require.Greater(t, *r.Bytes.Wire, r.Bytes.PayloadDelivered, "what was received was sent")
	require.GreaterOrEqual(t, r.Links, 3)
	require.Regexp(t, `^[1-9]\d* links over TCP, [1-9]\d* over QUIC$`, r.Notes[0])
}

// TestReportFailsWhereAReceiverIsDeaf takes the hooks from one node: the node
// works on, but says nothing, so the report must not claim that it received.
func TestReportFailsWhereAReceiverIsDeaf(t *testing.T) {
	leavesNothing(t)
	o := small(t, 3)
	o.For, o.Drain = 4*time.Second, 2*time.Second
	o.edit = func(i int, c *node.Config) {
		if i == 2 {
			c.Observe = node.Observe{}
		}
	}
	r, err := Demo(t.Context(), o)
	require.NoError(t, err)
	show(t, r)

	require.NotEmpty(t, r.FailedExpectations)
	require.Less(t, *r.Tx.DeliveryRatio, 0.9)
	require.Greater(t, *r.Tx.DeliveryRatio, 0.3)
	require.Less(t, *r.Block.DeliveryRatio, 0.9)
	require.Contains(t, strings.Join(r.FailedExpectations, "\n"), "fewest at node 2: 0")
}

func TestDemoEndsWithItsContext(t *testing.T) {
	leavesNothing(t)
	o := small(t, 3)
	o.oneAddress = true
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	progress := o.Progress
	o.Progress = func(s Snapshot) {
		progress(s)
		if s.Published > 20 {
			cancel()
		}
	}
	r, err := Demo(ctx, o)
	require.NoError(t, err)
	show(t, r)
	require.Empty(t, r.FailedExpectations)
	require.Greater(t, r.Tx.Published, 20)
	require.Nil(t, r.Bytes.IdlePerNodeS)
}

func TestDemoCancelledWhileStarting(t *testing.T) {
	leavesNothing(t)
	ctx, cancel := context.WithCancel(t.Context())
	o := small(t, 3)
	o.Progress = func(Snapshot) { cancel() }
	_, err := Demo(ctx, o)
	require.ErrorIs(t, err, context.Canceled)
}

// TestDemoNamesTheNodeThatFails also wants what the other nodes hold let go.
func TestDemoNamesTheNodeThatFails(t *testing.T) {
	busy, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	port := busy.Addr().(*net.TCPAddr).Port
	for name, c := range map[string]struct {
		spoil func(*node.Config)
		want  string
	}{
		"cannot open":   {func(c *node.Config) { c.Profile = "moon" }, "moon"},
		"cannot listen": {func(c *node.Config) { c.ListenAddrs = []string{fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port)} }, "listen on"},
	} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			o := small(t, 3)
			o.edit = func(i int, cfg *node.Config) {
				if i == 2 {
					c.spoil(cfg)
				}
			}
			_, err := Demo(t.Context(), o)
			require.ErrorContains(t, err, "node 2")
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestDemoRefusesAFullFolder(t *testing.T) {
	o := DefaultDemoOptions()
	o.Dir = t.TempDir()
	require.NoError(t, os.WriteFile(o.Dir+"/precious", nil, 0o600))
	_, err := Demo(t.Context(), o)
	require.ErrorContains(t, err, "is not empty")
	require.ErrorContains(t, err, "choose another folder")
}

func TestOptionsAreRefused(t *testing.T) {
	require.NoError(t, DefaultDemoOptions().Validate())
	_, err := Demo(t.Context(), DemoOptions{Nodes: 65, Producers: 66, Seed: report.MaxSeed + 1})
	for _, want := range []string{"Nodes is 65", "Producers is 66", "Drain is 0", "Rate is 0", "Slot is 0", "Seed is"} {
		require.ErrorContains(t, err, want)
	}
	o := DefaultDemoOptions()
	o.For = 5 * time.Second
	require.ErrorContains(t, o.Validate(), "For is 5s, want 0 or at least 6s")
}
