package overlay_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p-pubsub/timecache"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
)

// A transaction that is announced again reaches those who lack it behind one who has it,
// within bounds.
//
// R19: a node that has it passes the next announcement on.
func TestAnAnnouncementPassesThroughWhoHasIt(t *testing.T) {
	g, c := testGenesis("again"), newClock()
	a, b := start(t, g, c), start(t, g, c)
	middle := start(t, g, c, func(c *overlay.Config) { c.Limits.AgainPerMinute = 2 })
	middle.join(a, b)
	meshed(t, a, b, middle)
	// As after SeenTTL: the pool in the middle has them, its memory of messages has not.
	for nonce := range uint64(3) {
		tx := transfer(g, "wallet 0", nonce)
		middle.accept(tx)
		a.submit(tx)
		if nonce < 2 {
			eventually(t, func() bool { return b.chain.has(tx.ID()) }, "announcement %d passes", nonce)
		}
	}
	beyond := transfer(g, "wallet 0", 2)
	a.submit(transfer(g, "wallet 1", 0)) // news is bounded by nothing of the sort
	eventually(t, func() bool { return b.chain.has(transfer(g, "wallet 1", 0).ID()) }, "news passes")
	require.False(t, b.chain.has(beyond.ID()), "beyond the budget")
	require.Zero(t, a.seen.blamed()+b.seen.blamed()+middle.seen.blamed())
}

// Forgotten holds for pubsub's cache, however its sweeps fall.
func TestForgottenIsWhenTheSeenCacheForgets(t *testing.T) {
	g := overlay.DefaultGossip()
	for phase := time.Duration(0); phase < 2*time.Minute; phase += 7 * time.Second {
		synctest.Test(t, func(t *testing.T) {
			cache := timecache.NewTimeCache(g.SeenTTL)
			defer cache.Done()
			time.Sleep(phase)
			require.True(t, cache.Add("message"))
			time.Sleep(g.SeenTTL - time.Second)
			require.True(t, cache.Has("message"))
			time.Sleep(g.Forgotten() - g.SeenTTL + time.Second + time.Nanosecond)
			require.False(t, cache.Has("message"), "seen %v after a sweep", phase)
		})
	}
}
