package overlay

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// admission is the budget of messages that one peer has with one gossip instance. It is
// asked before pubsub decodes anything. What is over it is shed; a peer that keeps sending
// over it is charged for every so many messages, and is cut once that weighs enough.
type admission struct {
	units     *rate.Limiter // constant: messages, control entries and subscriptions
	perCharge int           // messages shed to one charge

	mu      sync.Mutex // guards what follows
	lenient *rate.Limiter
	over    int // shed since the last charge was due
}

func newAdmission(perSecond, burst int, l Limits) *admission {
	return &admission{
		units:     rate.NewLimiter(rate.Limit(perSecond), burst),
		perCharge: l.ShedPerCharge,
		lenient:   perMinute(l.ChargesForgiven),
	}
}

// admit takes one RPC from the budget. It gives back the messages that are within it, the
// most valuable first where not all are, and whether the rest of the RPC is. shed is how
// many messages are lost, and charge that the peer is to be charged for them.
func (a *admission) admit(now time.Time, others int, messages []parcel) (keep []parcel, ok bool, shed int, charge bool) {
	if others+len(messages) == 0 {
		others = 1 // an empty RPC costs us something too
	}
	if others > 0 && !a.units.AllowN(now, others) {
		return nil, false, len(messages), a.exceed(now, others+len(messages))
	}
	room := max(0, min(len(messages), int(a.units.TokensAt(now))))
	if room > 0 && !a.units.AllowN(now, room) {
		room = 0 // another stream of the peer was quicker
	}
	if room == len(messages) {
		return messages, true, 0, false
	}
	slices.SortStableFunc(messages, func(x, y parcel) int { return cmp.Compare(y.class, x.class) })
	shed = len(messages) - room
	return messages[:room], true, shed, a.exceed(now, shed)
}

// exceed counts what was over the budget, and says whether that is to be charged now.
func (a *admission) exceed(now time.Time, n int) (charge bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.over += n; a.over >= a.perCharge; a.over -= a.perCharge {
		charge = charge || !a.lenient.AllowN(now, 1)
	}
	return charge
}
