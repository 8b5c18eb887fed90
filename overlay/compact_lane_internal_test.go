package overlay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
)

// R96: headers to the mesh go first, then to a few others at a time, then bodies and
// transactions; nobody waits longer than its patience.
func TestLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, ctx := newLane(func(peer.ID) bool { return false }), context.Background()
		start := time.Now()
		atMesh := l.header(ctx, true)
		var written []time.Duration
		done := make(chan time.Duration, 3*othersAtOnce)
		for range 3 * othersAtOnce {
			go func() {
				leave := l.header(ctx, false)
				time.Sleep(10 * time.Millisecond)
				leave()
				done <- time.Since(start)
			}()
		}
		body := make(chan time.Duration, 1)
		go func() {
			l.body(ctx)
			body <- time.Since(start)
		}()
		time.Sleep(20 * time.Millisecond)
		require.Empty(t, done)
		require.Empty(t, body)
		l.hold()() // another header to the mesh need not wait
		require.Equal(t, 20*time.Millisecond, time.Since(start))
		atMesh()
		for range 3 * othersAtOnce {
			written = append(written, <-done)
		}
		for i, at := range written {
			require.Equal(t, time.Duration(30+10*(i/othersAtOnce))*time.Millisecond, at, "%d", i)
		}
		require.Equal(t, 50*time.Millisecond, <-body)

		for patience, wait := range map[time.Duration]func(context.Context){
			txPatience: func(ctx context.Context) { l.txs(ctx, "a") }, bodyPatience: l.body, othersPatience: func(ctx context.Context) { l.header(ctx, false)() },
		} {
			defer l.hold()() // who does not read must not hold up the others for ever
			began := time.Now()
			wait(ctx)
			require.Equal(t, patience, time.Since(began))
		}
		defer l.hold()()
		stopped, cancel := context.WithCancel(ctx)
		cancel()
		began := time.Now()
		l.body(stopped)
		require.Zero(t, time.Since(began))
	})
}

// R189: a peer that does not read a header holds up what goes to others for a fifth of a second,
// and not each part for as long; what was written in time is let go at once.
func TestLaneIsNotHeldByWhoDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, ctx := newLane(func(peer.ID) bool { return false }), t.Context()
		for _, inMesh := range []bool{true, false} {
			began := time.Now()
			done := l.header(ctx, inMesh)
			for range 16 {
				l.body(ctx)
			}
			require.Equal(t, headerHold, time.Since(began))
			done() // after all
			began = time.Now()
			written := l.header(ctx, inMesh)
			time.AfterFunc(10*time.Millisecond, written)
			l.body(ctx)
			require.Equal(t, 10*time.Millisecond, time.Since(began))
			time.Sleep(time.Second)
			require.True(t, l.idle(), "each counted once")
		}
	})
}
