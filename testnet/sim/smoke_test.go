//go:build unix

package sim_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// TestSmoke runs the smallest shipped scenario. It is for every change, so it
// must be quick: what it may take is processor time of the child, which other
// load on the machine does not lengthen as it does wall time.
func TestSmoke(t *testing.T) {
	s, err := scenario.Load("smoke")
	require.NoError(t, err)
	before := ofChildren(t)
	r := run(t, s)
	took := ofChildren(t) - before
	t.Logf("processor time %v, wall %v s", took, r.WallS)
	require.Empty(t, r.FailedExpectations)
	require.Empty(t, r.Notes)
	if !raced { // the detector makes it five times slower
		require.Less(t, took, 10*time.Second)
	}
}

// ofChildren is the processor time of all children that have ended.
func ofChildren(t *testing.T) time.Duration {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
