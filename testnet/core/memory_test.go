package core_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/core"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// TestMemoryCountsBytes holds the estimate against peaks of runs without
// blocks, in MB, each with three dials.
func TestMemoryCountsBytes(t *testing.T) {
	for _, run := range []struct {
		nodes, size int
		perSecond   float64
		lasts       time.Duration
		peak        float64
	}{
		{4, 130_000, 100, 60 * time.Second, 2470},
		{4, 130_000, 100, 10 * time.Second, 1021},
		{16, 130_000, 100, 10 * time.Second, 2840},
		{16, 250, 100, 60 * time.Second, 127},
	} {
		s := &scenario.Scenario{Nodes: run.nodes, Txs: scenario.Txs{PerSecond: run.perSecond, Size: run.size, For: run.lasts}}
		require.InEpsilon(t, run.peak, core.MemoryMB(s), 0.2, "%+v", run)
	}
}
