package local

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// tollEvery is how often it is looked what the daemons use: a reading costs each of them a
// millisecond or two, before the attack as in it.
const tollEvery = 250 * time.Millisecond

// toll is what attackers cost the daemons in memory and processor time: what these use
// while the load lasts, before the first attacker begins and since. It also says what the
// machine did beside, since that slows daemons down as an attacker does.
type toll struct {
	attacked, end time.Time               // constant
	others        func() (float64, error) // processor seconds so far of all other programs

	mu    sync.Mutex // guards what follows
	spent [phases]spent
	last  []float64 // processor time that each daemon said last: one that restarts begins anew
	used  float64   // of all together, since the first reading
}

// spent is what daemons used in one phase.
type spent struct {
	from, to  time.Time
	cpu0, cpu float64   // of all together, at from and at to
	oth0, oth float64   // of all other programs, at from and at to; NaN if unknown
	live, rss []float64 // the most of each daemon
}

func newToll(attacked, end time.Time, others func() (float64, error)) *toll {
	return &toll{attacked: attacked, end: end, others: others}
}

// follow reads until ctx ends.
func (t *toll) follow(ctx context.Context, m *meter) {
	for {
		if each, err := m.readEach(ctx); err == nil { // one that is overwhelmed is asked again
			t.saw(time.Now(), each)
		}
		if pause(ctx, tollEvery) != nil {
			return
		}
	}
}

// saw takes one reading of each daemon. A phase is measured from the last reading of the one
// before it, so that nothing falls in between.
func (t *toll) saw(now time.Time, each []reading) {
	if now.After(t.end) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	phase := calm
	if !now.Before(t.attacked) {
		phase = attacked
	}
	s, before := &t.spent[phase], &t.spent[calm]
	if s.live == nil {
		s.live, s.rss = make([]float64, len(each)), make([]float64, len(each))
	}
	if t.last == nil {
		t.last = make([]float64, len(each))
		for i, r := range each {
			t.last[i] = r.cpu
		}
	}
	for i, r := range each {
		if r.cpu >= t.last[i] {
			t.used += r.cpu - t.last[i]
		} else {
			t.used += r.cpu
		}
		t.last[i] = r.cpu
		s.live[i], s.rss[i] = max(s.live[i], r.live), max(s.rss[i], r.rss)
	}
	others, err := t.others()
	if err != nil {
		others = math.NaN()
	}
	switch {
	case !s.from.IsZero():
	case phase == attacked && !before.to.IsZero():
		s.from, s.cpu0, s.oth0 = before.to, before.cpu, before.oth
	default:
		s.from, s.cpu0, s.oth0 = now, t.used, others
	}
	s.to, s.cpu, s.oth = now, t.used, others
}

// add puts what was measured into a report.
func (t *toll) add(a *report.Attack) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for phase, into := range []*report.Phase{calm: a.Before, attacked: a.During} {
		s := &t.spent[phase]
		lasted := s.to.Sub(s.from).Seconds()
		into.CPUPerS = report.Ratio(s.cpu-s.cpu0, lasted)
		into.OthersCPUPerS = nil
		if others := max(0, s.oth-s.oth0); !math.IsNaN(others) {
			into.OthersCPUPerS = report.Ratio(others, lasted)
		}
	}
	before, since := &t.spent[calm], &t.spent[attacked]
	a.HeapGrowthMB, a.RSSGrowthMB = growth(before.live, since.live), growth(before.rss, since.rss)
}

// growth is by how much the most of any daemon grew, in MB; nil where one of the two was
// not measured.
func growth(before, since []float64) *float64 {
	if before == nil || since == nil {
		return nil
	}
	most := 0.0
	for i := range since {
		most = max(most, since[i]-before[i])
	}
	return report.Measured(most / 1e6)
}
