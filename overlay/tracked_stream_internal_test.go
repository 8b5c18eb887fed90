package overlay

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"
)

// deadlined is a stream that only keeps its deadline.
type deadlined struct {
	network.Stream
	until time.Time
	set   int
}

func (d *deadlined) SetWriteDeadline(t time.Time) error {
	d.until = t
	d.set++
	return nil
}

// A write has writeTime at the least and writeSlack more at the most, however often a
// deadline is asked for; a nearer one is obeyed.
func TestWriteDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		under := &deadlined{}
		s := &trackedStream{Stream: under}
		const writes = 1_000
		for range writes {
			require.NoError(t, s.SetWriteDeadline(time.Now().Add(30*time.Second)))
			left := time.Until(under.until)
			require.GreaterOrEqual(t, left, writeTime)
			require.LessOrEqual(t, left, writeTime+writeSlack)
			time.Sleep(10 * time.Millisecond)
		}
		require.LessOrEqual(t, under.set, 11, "of %d", writes)
		near := time.Now().Add(time.Second)
		require.NoError(t, s.SetWriteDeadline(near))
		require.Equal(t, near, under.until)
	})
}
