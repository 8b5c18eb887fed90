package overlay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Dials that never end cost those behind them a turn's length each round, not
// their own time-out.
func TestDialPaceGoesOnWithoutThoseThatDrag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, began := newDialPace(), time.Now()
		for range 3 * dialsAtOnce { // none of them is ever done
			_, err := p.turn(t.Context())
			require.NoError(t, err)
		}
		require.Equal(t, 2*turnLength, time.Since(began))
		time.Sleep(turnLength)
		synctest.Wait()
		require.Empty(t, p)
	})
}

func TestDialPaceLetsTheNextBeginWhenOneEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, began := newDialPace(), time.Now()
		for range 10 * dialsAtOnce {
			done, err := p.turn(t.Context())
			require.NoError(t, err)
			done()
			done() // twice gives no second place
		}
		require.Zero(t, time.Since(began))
		require.Empty(t, p)
	})
}

func TestDialPaceIsLeftWhenTheNodeStops(t *testing.T) {
	p := newDialPace()
	for range dialsAtOnce {
		done, err := p.turn(t.Context())
		require.NoError(t, err)
		defer done()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.turn(ctx)
	require.ErrorIs(t, err, context.Canceled)
}
