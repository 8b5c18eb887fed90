package attack

import "time"

// pace is how often something happens.
type pace struct {
	perSecond int

	spent time.Time // what is due by then was done
}

// catchUp bounds what is made up for after a pause, such as that of a process
// that got no core.
const catchUp = time.Second

// due is how often it happens now. The first time it is a beat's worth.
func (p *pace) due(now time.Time) int {
	if p.spent.IsZero() {
		p.spent = now.Add(-beatEvery)
	}
	each := time.Second / time.Duration(p.perSecond)
	if late := now.Add(-catchUp - each); p.spent.Before(late) {
		p.spent = late
	}
	n := int(now.Sub(p.spent) * time.Duration(p.perSecond) / time.Second)
	p.spent = p.spent.Add(time.Duration(n) * time.Second / time.Duration(p.perSecond))
	return n
}
