package mempool

import "time"

// floor is the fee per byte below which nothing enters: it rises with what is
// evicted and sinks with time, as Bitcoin Core's rolling minimum fee
// (CTxMemPool::GetMinFee). Without it whoever pays a little more than the worst
// of a full pool has every message relayed for nothing, since each is evicted
// by the next.
type floor struct {
	rate float64
	at   time.Time // until when it has sunk
}

// A half-life is cut into steps, so that the floor does not depend on how often
// it is asked for, and multiplication rounds the same on every machine.
const (
	floorSteps = 64
	floorStep  = 0.98922801319397548412912495906558 // 2^(-1/64)
)

// lift raises the floor to rate, if it is lower.
func (f *floor) lift(now time.Time, rate float64) {
	if rate > f.rate {
		*f = floor{rate: rate, at: now}
	}
}

// sink lowers the floor by what has passed until now.
func (f *floor) sink(now time.Time, halfLife time.Duration) {
	step := halfLife / floorSteps
	for f.rate > 0 && now.Sub(f.at) >= step {
		f.at = f.at.Add(step)
		f.rate *= floorStep
		if f.rate < 0.5 { // half of what lift adds: as good as nothing
			f.rate = 0
		}
	}
}

// sunkFloor is the floor as it has sunk until now, the faster the more room
// there is. Bitcoin Core does the same, but goes on sinking slowly in a pool
// that is nearly empty. There nobody is evicted for a long time, so that there is nothing to protect;
// and whoever filled the pool with dear transactions that it then made invalid
// must not have locked it for the others.
func (p *Pool) sunkFloor(now time.Time) floor {
	f := p.floor
	switch {
	case !p.filled(4):
		return floor{}
	case !p.filled(2):
		f.sink(now, p.config.FloorHalfLife/2)
	default:
		f.sink(now, p.config.FloorHalfLife)
	}
	return f
}

// filled says whether one part in so many of the pool is taken by what could be confirmed. The
// rest yields to whoever can be, and may have cost nothing: it must not keep the floor up.
func (p *Pool) filled(part int) bool {
	return p.ready >= p.config.MaxCount/part || p.bytes*p.ready/max(1, p.Len()) >= p.config.MaxBytes/part
}
