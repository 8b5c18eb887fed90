package overlay_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p-pubsub/timecache"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
)

// What is announced again stops at who has it: who lacks it finds it by reconciliation, and a node
// that starts anew, as often as it may, sends nothing through the whole network again. What a node
// fetched it has passed on to nobody, and does when the topic brings it.
//
// R19: a node that fetched it passes the announcement on.
func TestAnAnnouncementStopsAtWhoPassedItOn(t *testing.T) {
	g, c := testGenesis("again"), newClock()
	a, pool := startSource(t, g, c)
	middle, _ := startSource(t, g, c)
	fetched := transfer(g, "wallet 0", 0)
	pool.pooling(a, fetched)
	middle.join(a)
	meshed(t, a, middle)
	eventually(t, func() bool { return middle.chain.has(fetched.ID()) }, "by reconciliation")
	beyond := newForeign(t, g.ID(), true)
	beyond.connect(t, middle)
	heard := func() []byte {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		m, err := beyond.sub.Next(ctx)
		require.NoError(t, err)
		return m.GetData()
	}
	checked, _ := pool.Tx(fetched.ID())
	require.NoError(t, a.PublishTx(t.Context(), checked))
	require.Equal(t, fetched.Bytes(), heard())

	// As after SeenTTL: the pool in the middle has it, its memory of messages has not.
	old, news := transfer(g, "wallet 0", 1), transfer(g, "wallet 1", 0)
	middle.accept(old)
	a.submit(old, news)
	require.Equal(t, news.Bytes(), heard())
	require.Zero(t, a.seen.blamed()+middle.seen.blamed())
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
