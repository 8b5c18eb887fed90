package sim

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// What was alive for a while counts, though it is gone in the end.
func TestTheMostThatWasAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ballast = 64 << 20
		ctx, cancel := context.WithCancel(t.Context())
		g := new(stage)
		go g.watchHeap(ctx)
		held := make([]byte, ballast)
		runtime.GC()
		time.Sleep(heapEvery + time.Millisecond)
		runtime.KeepAlive(held)
		held = nil
		runtime.GC()
		time.Sleep(heapEvery)
		cancel()
		synctest.Wait()
		require.Greater(t, g.course.heapPeak, foundAlive()+ballast/2)
	})
}
