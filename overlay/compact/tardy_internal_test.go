package compact

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestIdlest: who has least to do, then who is near.
func TestIdlest(t *testing.T) {
	m := &Machine{cfg: DefaultConfig()}
	to := func(rtt time.Duration, busy, late int) *mate {
		l := &link{}
		l.rtt.sample(rtt)
		l.late(late)
		x := &mate{link: l}
		for i := range busy {
			x.asked.Set(i)
		}
		return x
	}
	near, far, busy, tardy := to(time.Millisecond, 1, 0), to(time.Second, 1, 0), to(time.Millisecond, 3, 0), to(time.Millisecond, 0, 2)
	require.Same(t, near, m.idlest([]*mate{busy, far, near}))
	require.Same(t, busy, m.idlest([]*mate{busy}))
	require.Equal(t, 1, tardy.link.rank())
	for range tardyFrom {
		tardy.link.prompt()
	}
	require.Zero(t, tardy.link.rank(), "it has mended")
	tardy.link.late(1_000)
	for range tardyLimit {
		tardy.link.prompt()
	}
	require.Zero(t, tardy.link.rank(), "nothing is held against it for long")
}
