package overlay

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
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

		// One that never reads costs a bounded time, once; nobody waits for it until it reads.
		out.queued("b")
		out.queued("b")
		start = time.Now()
		require.NoError(t, out.wait(t.Context()))
		require.InDelta(t, outflowStall.Milliseconds(), time.Since(start).Milliseconds(), 10)
		out.queued("b")
		start = time.Now()
		require.NoError(t, out.wait(t.Context()))
		require.Zero(t, time.Since(start))
		out.written("b")
		require.Equal(t, []peer.ID{"b"}, out.full(2))

		// One that reads a little all the time costs a bounded time too.
		go func() {
			for range 20 {
				out.queued("b")
				time.Sleep(outflowPatience / 8)
				out.written("b")
			}
		}()
		start = time.Now()
		require.NoError(t, out.wait(t.Context()))
		require.InDelta(t, outflowPatience.Milliseconds(), time.Since(start).Milliseconds(), 10)
		time.Sleep(time.Minute)

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
			out.queued("slow")
		}
		start := time.Now()
		frames := 0
		for time.Since(start) < time.Minute {
			out.queued("slow") // it reads just enough to be waited for
			out.written("slow")
			require.NoError(t, out.yield(t.Context()))
			time.Sleep(time.Millisecond)
			frames++
		}
		// Of a minute, the first rest and a tenth are given away.
		require.Greater(t, frames, 40_000)
	})
}

// A write that ends after its peer is gone (it waited for its turn, or the connection broke under
// it) leaves nothing behind.
func TestAWriteThatEndsLateLeavesNoWay(t *testing.T) {
	out := newOutflow(4)
	tr := &tracer{outflow: out, meshed: func(peer.ID, bool) {}}
	out.queued("a")
	tr.OnClosedOutboundStream("a")
	out.written("a") // trackedStream.Write defers it
	require.Empty(t, out.ways)
}
