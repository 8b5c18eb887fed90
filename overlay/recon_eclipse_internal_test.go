package overlay

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
)

// R67: an alarm is raised by what peers outside the mesh give and the mesh does not bring, all of
// them together, for long, and where it is a part of all that comes.
func TestEclipse(t *testing.T) {
	const from, outside = 20, 3 // seconds, links
	for name, test := range map[string]struct {
		mesh    int // transactions that the mesh brings each second
		given   int // that peers outside of it give
		late    int // of those, that the mesh brings a second later
		until   int // seconds
		alarmed bool
	}{
		"all is hidden":            {0, 10, 0, 90, true},
		"little comes, and so":     {0, 1, 0, 120, true},
		"one sender is hidden":     {80, 12, 0, 90, true},
		"a few of many":            {500, 12, 0, 90, false},
		"the mesh is slow":         {10, 10, 10, 90, false},
		"the mesh brings most":     {10, 10, 9, 60, false},
		"what a partition left":    {0, 400, 0, from + 15, false},
		"nothing comes by the way": {10, 0, 0, 90, false},
	} {
		t.Run(name, func(t *testing.T) {
			e, now, n := newEclipse(), time.Unix(1_700_000_000, 0), 0
			alarmed := 0
			var late []int
			for second := range test.until + 60 {
				now = now.Add(time.Second)
				for _, id := range late {
					e.judged(now, testID(id), true, false)
				}
				late = nil
				for range test.mesh {
					n++
					e.judged(now, testID(n), true, true)
				}
				for i := range test.given {
					if second < from || second >= test.until {
						break
					}
					n++
					e.judged(now, testID(n), false, true)
					e.gives(now, peer.ID(fmt.Sprint(i%outside)), testID(n))
					if i < test.late {
						late = append(late, n)
					}
				}
				if links := e.look(now); links > 0 {
					require.Equal(t, min(outside, test.given), links)
					alarmed = second
				}
			}
			require.Equal(t, test.alarmed, alarmed > 0)
			require.Less(t, alarmed, test.until+45, "and is over when that is over")
		})
	}
	e := newEclipse()
	for n := range 2 * maxEclipse {
		e.gives(time.Unix(1_700_000_000, 0), "p", testID(n))
	}
	require.Len(t, e.unmet, maxEclipse)
}
