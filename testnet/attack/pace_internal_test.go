package attack

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever the beats, what is due in the end is what was asked for, but for
// pauses that are too long to make up for.
func TestPace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := pace{perSecond: rapid.IntRange(1, 100_000).Draw(t, "per second")}
		start := time.Unix(1_000_000, 0)
		now, due := start, p.due(start)
		require.LessOrEqual(t, due, p.perSecond/40)
		for _, ms := range rapid.SliceOfN(rapid.IntRange(1, 900), 1, 50).Draw(t, "beats") {
			now = now.Add(time.Duration(ms) * time.Millisecond)
			due += p.due(now)
		}
		want := now.Sub(start.Add(-beatEvery)).Seconds() * float64(p.perSecond)
		require.InDelta(t, want, due, 1.01+want*1e-6)
	})
	p := pace{perSecond: 1000}
	start := time.Unix(1_000_000, 0)
	p.due(start)
	require.InDelta(t, 1000, p.due(start.Add(time.Hour)), 1)
	require.Zero(t, p.due(start.Add(time.Hour)))
}
