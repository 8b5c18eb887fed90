package dial

import (
	"math/rand/v2"
	"time"
)

// pause holds back what failed.
type pause struct {
	failed int // times in a row, our own failures included
	until  time.Time
}

// jitter is the share by which a pause is varied to either side.
const jitter = 0.25

// lengthen sets the pause after one more failure.
func (p *pause) lengthen(now time.Time, c Config, rng *rand.Rand) {
	long := c.BackoffMin
	for range p.failed {
		if long >= c.BackoffMax/2 {
			long = c.BackoffMax
			break
		}
		long *= 2
	}
	p.failed++
	p.until = now.Add(vary(long, rng))
}

func (p *pause) over(now time.Time) bool { return !now.Before(p.until) }

func vary(d time.Duration, rng *rand.Rand) time.Duration {
	return d + time.Duration((2*rng.Float64()-1)*jitter*float64(d))
}
