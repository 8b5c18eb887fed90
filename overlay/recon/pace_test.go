package recon_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/recon"
)

// R62: an initiator in a hurry opens a few exchanges at once, and one a second in the mean,
// which its peer puts up with.
func TestHasteKeepsThePace(t *testing.T) {
	p := newPair(t, recon.DefaultConfig(), 1)
	p.fill(rand.New(rand.NewPCG(1, 2)), 1000, 0, 0)
	opened := p.countOpened()
	p.run(time.Minute, never)
	hasten := func(times int) {
		*opened = 0
		for range times {
			p.step(p.asks, recon.Hasten{})
			p.run(50*time.Millisecond, never)
		}
	}
	hasten(10)
	require.Equal(t, 3, *opened, "at once, one round trip after the other")
	hasten(1200)
	require.LessOrEqual(t, *opened, 61)
	require.GreaterOrEqual(t, *opened, 55)
	require.NoError(t, p.asks.closed)
	require.NoError(t, p.answers.closed)
}

// R99: a session that is left alone for a while holds small exchanges only.
func TestLeftAlone(t *testing.T) {
	for name, side := range map[string]func(p *pair) session{
		"by the asker":    func(p *pair) session { return p.asks.session },
		"by the answerer": func(p *pair) session { return p.answers.session },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, recon.DefaultConfig(), 1)
			p.keen = true
			p.fill(rand.New(rand.NewPCG(3, 4)), 1000, 500, 0)
			side(p).(interface{ Leave(until time.Time) }).Leave(p.now.Add(3 * time.Second))
			p.run(3*time.Second, never)
			require.Len(t, p.answers.set, 1000)
			p.run(3*time.Second, never)
			require.Len(t, p.answers.set, 1500)
		})
	}
}

// R63: who waits for the large place, its own or the peer's, takes it soon after it is free.
func TestTheLargePlaceIsTakenSoon(t *testing.T) {
	for name, own := range map[string]bool{"our own": true, "the peer's": false} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 4))
			var asks, answers recon.Large
			p := newPair(t, recon.DefaultConfig(), 1)
			var err error
			p.asks.session, err = recon.NewInitiator(recon.DefaultConfig(), &asks, recon.Salt{1}, rng)
			require.NoError(t, err)
			p.answers.session, err = recon.NewResponder(recon.DefaultConfig(), &answers, recon.Salt{2})
			require.NoError(t, err)
			p.keen = true
			p.fill(rng, 1000, 500, 0)
			busy := &answers
			if own {
				busy = &asks
			}
			busy.Keep(true)
			p.run(700*time.Millisecond, never)
			require.Len(t, p.answers.set, 1000)
			busy.Keep(false)
			p.run(time.Second, func() bool { return len(p.answers.set) == 1500 })
			require.Len(t, p.answers.set, 1500)
		})
	}
}

// R113: of those that expect a large exchange few ask for one at a time; another does when
// one of them is done, or lets the others wait.
func TestFewAskForALargeExchange(t *testing.T) {
	var large recon.Large
	now := epoch
	sessions := make([]*recon.Initiator, 6)
	asking := make(map[int]bool)
	var step func(i int, ev recon.Event)
	step = func(i int, ev recon.Event) {
		for _, a := range sessions[i].Step(now, ev, nil) {
			switch a := a.(type) {
			case recon.Send:
				if _, ok := a.Frame.(recon.Open); ok {
					asking[i] = true
				}
			case recon.RunScan:
				a.Scan.Run(ids(nil))
				step(i, recon.Hasten{Much: true})
				step(i, recon.Scanned(a))
			}
		}
	}
	ticks := func(d time.Duration) {
		for end := now.Add(d); !now.After(end); now = now.Add(10 * time.Millisecond) {
			for i := range sessions {
				step(i, recon.Tick{})
			}
		}
	}
	for i := range sessions {
		var err error
		sessions[i], err = recon.NewInitiator(recon.DefaultConfig(), &large, recon.Salt{byte(i)}, rand.New(rand.NewPCG(1, uint64(i))))
		require.NoError(t, err)
		step(i, recon.Tick{})
		step(i, recon.Received{Frame: recon.Greeting{}})
	}
	ticks(400 * time.Millisecond)
	require.Len(t, asking, 2)
	for i := range asking {
		sessions[i].End()
		break
	}
	ticks(100 * time.Millisecond)
	require.Len(t, asking, 3)
	ticks(600 * time.Millisecond)
	require.GreaterOrEqual(t, len(asking), 5)
}

// R113: where a rollback gave much back since an exchange began, the peer does not list all
// it has: it may have the same from there.
func TestWhatMovedMeanwhileIsNotListed(t *testing.T) {
	p := newPair(t, recon.DefaultConfig(), 1)
	p.fill(rand.New(rand.NewPCG(5, 6)), 1000, 0, 2500)
	opened := p.countOpened()
	p.run(time.Minute, func() bool { return *opened > 0 })
	for id := range p.answers.set {
		p.asks.add(id)
	}
	p.run(5*time.Second, never)
	require.GreaterOrEqual(t, *opened, 2)
	require.Less(t, p.sent[1], 20_000, "the ids are not listed")
	require.Equal(t, recon.Compared{}, p.asks.compared[len(p.asks.compared)-1])
}

// What is listed can be fetched from its first frame on.
func TestWhatIsListedIsToldAtOnce(t *testing.T) {
	p := newPair(t, recon.DefaultConfig(), 1)
	p.fill(rand.New(rand.NewPCG(7, 8)), 0, 0, 5*recon.MaxIDs)
	p.run(time.Minute, func() bool { return p.asks.listed > 0 })
	require.Equal(t, recon.MaxIDs, p.asks.listed)
	require.Empty(t, p.asks.learned)
	p.run(time.Second, never)
	require.Equal(t, 8192, p.asks.listed, "as many as one exchange tells")
	require.Len(t, p.asks.learned, 8192)
}

// R65: what is told again and again and never taken, by either side, is told at the longest interval in the
// end. What is wanted is still found within that, and what follows it at the shortest.
func TestWhatIsNeverTakenIsToldSeldom(t *testing.T) {
	for name, c := range map[string]struct{ asks, answers int }{
		"few":               {0, 500},
		"many, by symbols":  {0, 5000},
		"many, by listings": {0, 20_000},
		"many to offer":     {20_000, 0},
	} {
		t.Run(name, func(t *testing.T) {
			config := recon.DefaultConfig()
			p := newPair(t, config, 1)
			rng := rand.New(rand.NewPCG(1, 2))
			p.fill(rng, 5000, c.asks, c.answers)
			opened := p.countOpened()
			p.run(10*time.Second, never)
			require.GreaterOrEqual(t, *opened, 3, "at first it may be wanted")
			p.run(80*time.Second, never)
			*opened = 0
			before := p.sent[0] + p.sent[1]
			p.run(10*config.MaxInterval, never)
			t.Logf("%.1f kB/s", float64(p.sent[0]+p.sent[1]-before)/1e3/(10*config.MaxInterval).Seconds())
			require.LessOrEqual(t, *opened, 13)

			id := randomID(rng)
			p.answers.add(id)
			told := func() bool { return slices.Contains(p.asks.learned, id) }
			p.run(time.Duration(1+c.answers/8192)*(config.MaxInterval+time.Second), told)
			require.True(t, told())
			p.run(time.Second, never) // it is fetched
			p.asks.add(id)
			*opened = 0
			p.run(config.MinInterval*3/2, never)
			require.Equal(t, 1, *opened, "what was told is wanted: there may be more")
			require.NoError(t, p.asks.closed)
			require.NoError(t, p.answers.closed)
		})
	}
}
