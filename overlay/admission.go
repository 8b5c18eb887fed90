package overlay

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// What is over a budget of its own weighs as much as so many units over theirs: half a
// second of any flood that is worth sending is a charge.
const (
	idsPerUnit           = 5
	unitsPerSubscription = 20
	unitsPerGraft        = 500 // no honest peer comes near this budget at all
)

// graftsPerConnection are within any budget: both ends begin a connection by asking each
// other into their mesh, and whoever has to start again and again is no flooder. Handshakes
// cost more than these, and have bounds of their own.
const graftsPerConnection = 4

// admission is the budget of gossip that one peer has with one instance. It is asked before
// pubsub decodes anything. What is over it is truncated or dropped; a peer that keeps sending
// over it is charged for every so many units, is disconnected when that goes on, and banned
// once its charges weigh enough.
type admission struct {
	units         *rate.Limiter // constant: messages, control entries and subscriptions
	ids           *rate.Limiter // in control entries
	subscriptions *rate.Limiter
	grafts        *rate.Limiter // GRAFT and PRUNE
	control       *rate.Limiter // bytes that are no messages, for which it waits for nobody
	perCharge     int           // units over the budget to one charge
	limits        strangeLimits

	mu      sync.Mutex // guards what follows
	lenient *rate.Limiter
	patient *rate.Limiter
	over    int // since the last charge was due
	conn    string
	fresh   int // GRAFT and PRUNE that are left of what conn may begin with
	strange strange
}

func newAdmission(perSecond, burst int, l Limits) *admission {
	return &admission{
		units:         rate.NewLimiter(rate.Limit(perSecond), burst),
		ids:           rate.NewLimiter(rate.Limit(l.IDsPerSecond), l.IDsBurst),
		subscriptions: rate.NewLimiter(rate.Limit(l.SubscriptionsPerSecond), l.SubscriptionsBurst),
		grafts:        perMinute(l.GraftsPerMinute),
		control:       rate.NewLimiter(rate.Limit(l.ControlPerSecond), l.ControlBurst),
		perCharge:     l.ShedPerCharge,
		limits:        strangeLimits{float64(l.StrangePerSecond), float64(l.StrangePerMessage), float64(l.StrangeBurst), float64(l.IDsBurst)},
		lenient:       perMinute(l.ChargesForgiven),
		patient:       perMinute(l.ChargesToCut),
	}
}

// begin notes that the peer uses a connection, by its id.
func (a *admission) begin(conn string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if conn != a.conn {
		a.conn, a.fresh = conn, graftsPerConnection
	}
}

// takeGrafts takes as much of n as there is.
func (a *admission) takeGrafts(now time.Time, n int) int {
	a.mu.Lock()
	free := min(n, a.fresh)
	a.fresh -= free
	a.mu.Unlock()
	return free + take(a.grafts, now, n-free)
}

// ruling is what becomes of one RPC.
type ruling struct {
	messages []parcel // that are within the budget, the most valuable first where not all are
	rest     bool     // what is no message passes, truncated to keep
	keep     elements
	shed     int  // messages that are lost
	paced    int  // bytes for which the peer is read later, in turn with others
	charges  int  // the peer is to be charged so often
	cut      bool // and disconnected
}

// admit takes one RPC from the budget.
func (a *admission) admit(now time.Time, e elements, messages []parcel) (r ruling) {
	if e.units+len(messages) == 0 {
		e.units = 1 // an empty RPC costs us something too
	}
	over := 0
	defer func() { r.charges, r.cut = a.exceed(now, over) }()
	if e.units > 0 && !a.units.AllowN(now, e.units) {
		over = e.units + len(messages)
		r.shed = len(messages)
		return r
	}
	r.rest = true
	r.keep = elements{
		units:         e.units,
		ids:           take(a.ids, now, e.ids),
		subscriptions: take(a.subscriptions, now, e.subscriptions),
		grafts:        a.takeGrafts(now, e.grafts),
	}
	over = (e.ids-r.keep.ids)/idsPerUnit + (e.subscriptions-r.keep.subscriptions)*unitsPerSubscription +
		(e.grafts-r.keep.grafts)*unitsPerGraft
	room := take(a.units, now, len(messages))
	r.messages = messages
	if room < len(messages) {
		slices.SortStableFunc(messages, func(x, y parcel) int { return cmp.Compare(y.class, x.class) })
		r.messages, r.shed = messages[:room], len(messages)-room
		over += r.shed
	}
	return r
}

// pace says for how many of so many bytes that are no messages the peer is to wait in turn
// with others.
func (a *admission) pace(now time.Time, bytes int) int { return bytes - take(a.control, now, bytes) }

// take takes as much of n as there is.
func take(l *rate.Limiter, now time.Time, n int) int {
	room := max(0, min(n, int(l.TokensAt(now))))
	if room > 0 && !l.AllowN(now, room) {
		return 0 // another stream of the peer was quicker
	}
	return room
}

// exceed counts what was over the budget, and says how often that is to be charged now, and
// whether the peer is to be cut.
func (a *admission) exceed(now time.Time, n int) (charges int, cut bool) {
	if n == 0 {
		return 0, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.over += n; a.over >= a.perCharge && !cut; a.over -= a.perCharge {
		if !a.lenient.AllowN(now, 1) {
			charges++
			cut = !a.patient.AllowN(now, 1)
		}
	}
	return charges, cut
}
