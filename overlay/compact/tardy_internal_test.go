package compact

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestIdlest: who was late of late comes after all others, however near and idle; then who
// has least to do, then who is near.
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
	require.Same(t, near, m.idlest([]*mate{tardy, busy, far, near}))
	require.Same(t, busy, m.idlest([]*mate{tardy, busy}))
	require.Same(t, tardy, m.idlest([]*mate{tardy}), "rather than nobody")
	for range tardyFrom {
		tardy.link.prompt()
	}
	require.Same(t, tardy, m.idlest([]*mate{near, tardy}), "it has mended")
	tardy.link.late(1_000)
	for range tardyLimit {
		tardy.link.prompt()
	}
	require.Zero(t, tardy.link.rank(), "nothing is held against it for long")
}
