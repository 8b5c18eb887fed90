package overlay

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPublisherWaitsForSlowPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newOutflow(4)
		out.queued("a")
		require.NoError(t, out.wait(t.Context()))
		out.queued("a")
		go func() {
			time.Sleep(100 * time.Millisecond)
			out.written("a")
		}()
		start := time.Now()
		require.NoError(t, out.wait(t.Context()))
		require.InDelta(t, 100, time.Since(start).Milliseconds(), 10)

		// One that never reads costs a bounded time, once.
		out.queued("b")
		out.queued("b")
		start = time.Now()
		require.NoError(t, out.wait(t.Context()))
		require.InDelta(t, outflowPatience.Milliseconds(), time.Since(start).Milliseconds(), 10)
		start = time.Now()
		require.NoError(t, out.wait(t.Context()))
		require.Zero(t, time.Since(start))

		out.written("c") // written before it was counted as queued
		out.queued("c")
		require.NoError(t, out.wait(t.Context()))
		out.forget("a")
	})
}

// A peer that does not read cannot stop this node from reading others.
func TestReadersRestWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newOutflow(4)
		for range 4 {
			out.queued("stuck")
		}
		start := time.Now()
		frames := 0
		for time.Since(start) < time.Minute {
			require.NoError(t, out.yield(t.Context()))
			time.Sleep(time.Millisecond)
			frames++
		}
		// Of a minute, the first rest and a tenth are given away.
		require.Greater(t, frames, 40_000)
	})
}
