package sim

import (
	"context"
	"runtime"
	"runtime/metrics"
	"time"
)

// heapEvery is how often it is looked what is alive.
const heapEvery = 200 * time.Millisecond

// watchHeap notes the most that was alive, as the collections of garbage find it, until ctx
// ends. It makes none happen: that would cost a large run more time than all the rest.
func (g *stage) watchHeap(ctx context.Context) {
	for {
		g.course.heapPeak = max(g.course.heapPeak, foundAlive())
		if !Sleep(ctx, heapEvery) {
			return
		}
	}
}

// foundAlive is what the last collection of garbage left.
func foundAlive() uint64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return live[0].Value.Uint64()
}

// liveHeap is what the process holds once garbage is gone.
func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
