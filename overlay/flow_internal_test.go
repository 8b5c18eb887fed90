package overlay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestIntakeHoldsReadersBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newIntake(3)
		in.begin(2)
		require.NoError(t, in.wait(t.Context()))
		in.begin(2)
		start := time.Now()
		go func() {
			for range 2 {
				time.Sleep(50 * time.Millisecond)
				in.end()
			}
		}()
		require.NoError(t, in.wait(t.Context()))
		require.Equal(t, 100*time.Millisecond, time.Since(start), "there is room when two of four are judged")
	})
}

// What was dropped without a word must not close the intake for ever.
func TestIntakeForgetsWhatDoesNotMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newIntake(3)
		in.begin(100)
		start := time.Now()
		require.NoError(t, in.wait(t.Context()))
		require.LessOrEqual(t, time.Since(start), 3*intakeStill)
		in.end() // late, and uncounted by now
		require.NoError(t, in.wait(t.Context()))
	})
}

func TestIntakeEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newIntake(1)
		in.begin(1)
		ctx, cancel := context.WithTimeout(t.Context(), intakeStill/2)
		defer cancel()
		require.ErrorIs(t, in.wait(ctx), context.DeadlineExceeded)
	})
}

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
