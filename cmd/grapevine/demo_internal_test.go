package main

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet"
)

// TestDemoEndsWithItsReport ends a demo as Ctrl-C does.
func TestDemoEndsWithItsReport(t *testing.T) {
	if testing.Short() {
		t.Skip("runs nodes")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := testnet.DefaultDemoOptions()
	o.Nodes = 3
	var page bytes.Buffer
	o.Progress = func(s testnet.Snapshot) {
		page.Reset()
		printSnapshot(&page, s)
		if s.Phase == testnet.Loading && s.Published > 20 {
			cancel()
		}
	}
	var out, errs bytes.Buffer
	c := &cli{in: &bytes.Buffer{}, out: &out, err: &errs, getenv: func(string) string { return "" }}
	require.NoError(t, c.demo(ctx, o), "%s", &errs)
	require.Regexp(t, `transactions +[1-9][0-9]* accepted`, out.String())
	require.Contains(t, out.String(), "Every accepted transaction reached every node")
	require.Empty(t, errs.String())
	require.Contains(t, page.String(), "grapevine demo: 3 nodes")
	require.Contains(t, page.String(), "producer")
}
