package core

import (
	"time"

	"github.com/grapevine-p2p/grapevine/overlay/member"
	"github.com/grapevine-p2p/grapevine/testnet/report"
)

const (
	// noticeable is how long a node is away at least for others to have to notice.
	noticeable = 20 * time.Second
	// lateness is how long after its return a node may still be taken for dead on
	// what came before.
	lateness = 10 * time.Second
)

// census holds what nodes find out of each other against what is so.
type census struct {
	now         []*death // by node: its last
	deaths      []*death
	falseDeaths int
	suspicions  int
}

// death is one time that a node was away.
type death struct {
	from, until time.Duration
	missing     map[int]struct{} // witnesses that do not know yet
	noticed     time.Duration    // when the last of them knew, or never
}

func newCensus(nodes int) *census { return &census{now: make([]*death, nodes)} }

// gone opens a death. A node that goes witnesses no other any more.
func (c *census) gone(from, until time.Duration, node int, there func(int) bool) {
	for _, d := range c.now {
		if d != nil {
			d.knows(from, node)
		}
	}
	d := &death{from: from, until: until, missing: make(map[int]struct{}), noticed: never}
	for i := range c.now {
		if i != node && there(i) {
			d.missing[i] = struct{}{}
		}
	}
	c.now[node] = d
	if until-from >= noticeable {
		c.deaths = append(c.deaths, d)
	}
}

// knows notes that a witness knows, or is none any more.
func (d *death) knows(now time.Duration, witness int) {
	delete(d.missing, witness)
	if len(d.missing) == 0 && d.noticed == never {
		d.noticed = now
	}
}

// takes notes what a node thinks of another.
func (c *census) takes(now time.Duration, node, of int, s member.State) {
	switch s {
	case member.Suspect:
		c.suspicions++
	case member.Dead:
		d := c.now[of]
		if d == nil || now >= d.until+lateness {
			c.falseDeaths++
			return
		}
		d.knows(now, node)
	case member.Alive, member.Unknown:
	}
}

// report sums up what was found until last.
func (c *census) report(nodes int, last time.Duration) *report.Members {
	var took report.Sample
	noticed := 0
	for _, d := range c.deaths {
		if d.noticed != never && d.noticed < d.until {
			noticed++
			took.AddDuration(d.noticed - d.from)
		}
	}
	return &report.Members{
		Deaths:                len(c.deaths),
		NoticedRatio:          report.Ratio(float64(noticed), float64(len(c.deaths))),
		NoticedMS:             took.Percentiles(),
		FalseDeaths:           c.falseDeaths,
		FalseDeathsPerNodeDay: report.Ratio(float64(c.falseDeaths), float64(nodes)*last.Hours()/24),
		Suspicions:            c.suspicions,
	}
}
