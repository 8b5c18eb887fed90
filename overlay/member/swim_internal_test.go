package member

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// soak is how long a simulation shall be: GRAPEVINE_SOAK times the usual.
func soak(usual int) int {
	if n, err := strconv.Atoi(os.Getenv("GRAPEVINE_SOAK")); err == nil {
		return usual * n
	}
	return usual
}

// TestDeathIsKnownToAll: in a network of 200, idle nodes spend no more than 450
// bytes a second on the wire, and when one dies all others know within 10 s.
func TestDeathIsKnownToAll(t *testing.T) {
	w := newWorld(t, seedOf(t), 200, 10, DefaultConfig())
	w.run(2 * time.Minute)
	for _, n := range w.nodes {
		require.Len(t, n.m.Members(), 199)
		require.Equal(t, 200, n.m.Size())
	}
	before := w.sent()
	w.run(time.Minute)
	idle := float64(w.sent()-before) / 200 / 60
	t.Logf("idle: %.0f bytes/s per node", idle)
	require.LessOrEqual(t, idle, 450.0)

	var took []time.Duration
	deaths := soak(8)
	before, began := w.sent(), w.now
	for i := range deaths {
		w.run(time.Duration(w.rng.Int64N(int64(5 * time.Second))))
		victim := w.nodes[(i*7)%200]
		victim.up = false
		died, last := w.now, time.Duration(-1)
		for w.now.Sub(died) < 30*time.Second && last < 0 {
			w.run(100 * time.Millisecond)
			if w.count(victim.id, Dead) == 199 {
				last = w.now.Sub(died)
			}
		}
		require.Positive(t, last, "death %d of %s was not noticed by all: dead %d suspect %d alive %d", i, victim.id,
			w.count(victim.id, Dead), w.count(victim.id, Suspect), w.count(victim.id, Alive))
		took = append(took, last)
		victim.up = true // back, as after a pause
		w.run(20 * time.Second)
		require.Equal(t, 199, w.count(victim.id, Alive))
	}
	slices.Sort(took)
	t.Logf("%d deaths known to all after: p50 %v p90 %v p99 %v max %v", deaths,
		took[len(took)/2], took[len(took)*9/10], took[len(took)*99/100], took[len(took)-1])
	t.Logf("a death and a return in %v: %.0f bytes/s per node", w.now.Sub(began)/time.Duration(deaths),
		float64(w.sent()-before)/200/w.now.Sub(began).Seconds())
	require.LessOrEqual(t, took[len(took)*99/100], 10*time.Second)
	require.Zero(t, w.falseDeaths)
	require.Zero(t, w.faults)
}

// TestNoFalseDeaths: with every twentieth frame lost nobody living is taken for
// dead by anybody, and with every fifth at most one in a node's day. Channels
// that repeat what was lost do better.
func TestNoFalseDeaths(t *testing.T) {
	for _, c := range []struct {
		loss    float64
		allowed float64 // per node-day
	}{{0.05, 0}, {0.2, 1}} {
		w := newWorld(t, seedOf(t), 200, 10, DefaultConfig())
		w.run(time.Minute)
		w.loss = c.loss
		suspected := 0
		w.on = func(_ *node, c Changed) {
			if c.State == Suspect {
				suspected++
			}
		}
		before, minutes := w.sent(), soak(3)
		w.run(time.Duration(minutes) * time.Minute)
		days := 200 * float64(minutes) / (24 * 60)
		t.Logf("loss %.0f %%: %d false deaths and %d suspicions in %.1f node-days, %.0f bytes/s per node", 100*c.loss, w.falseDeaths,
			suspected, days, float64(w.sent()-before)/200/float64(minutes*60))
		require.LessOrEqual(t, float64(w.falseDeaths), c.allowed*days)
		require.Zero(t, w.faults)
	}
}
