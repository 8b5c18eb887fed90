package stem

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/dchest/siphash"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Refusal is why a transaction is not held.
type Refusal string

// Full says that no more of our own can be held.
const Full Refusal = "too many transactions of our own are on their stems already"

func (r Refusal) Error() string { return "stem: " + string(r) }

// Router decides about the transactions of one node. It is not safe for concurrent use.
type Router struct {
	cfg    Config
	rng    *rand.Rand
	peers  []peerscore.PeerID // that may relay, sorted
	relays []peerscore.PeerID // of this epoch
	salt   [2]uint64          // of this epoch: it decides which relay is whose
	ends   time.Time          // of this epoch
	public bool               // in this epoch, what others hand in is published
	held   map[wire.TxID]*held
	counts map[peerscore.PeerID]int // held, by who handed it in
	bytes  int                      // held, of what peers handed in
}

// own stands for this node among those that hand transactions in.
const own = peerscore.PeerID("")

type held struct {
	tx   validation.CheckedTx
	from peerscore.PeerID
	due  time.Time
	idle time.Time // when nobody took one of ours; zero if it was handed on
}

// Step is what to do with a transaction that a peer handed in.
type Step struct {
	// Publish it now. Otherwise it is held, and to be handed on.
	Publish bool
	// To are the peers to hand it to: the first that takes it.
	To []peerscore.PeerID
}

// Released is a transaction to publish.
type Released struct {
	Tx   validation.CheckedTx
	From peerscore.PeerID // empty where it is our own
}

// New makes a Router that holds nothing and knows no peers. Its first epoch begins with its
// first call.
func New(cfg Config, rng *rand.Rand) (*Router, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Router{
		cfg: cfg, rng: rng,
		held: make(map[wire.TxID]*held), counts: make(map[peerscore.PeerID]int),
	}, nil
}

// Peers says which peers may relay from now on. A relay that is not among them is replaced;
// what is routed to the others stays.
func (r *Router) Peers(now time.Time, peers []peerscore.PeerID) {
	r.peers = slices.Sorted(slices.Values(peers))
	r.turn(now)
}

// turn begins a new epoch when it is time, and sees to it that there are relays.
func (r *Router) turn(now time.Time) {
	if !now.Before(r.ends) {
		r.ends = now.Add(r.cfg.Epoch*3/4 + time.Duration(r.rng.Int64N(int64(r.cfg.Epoch)/2+1)))
		r.public = r.rng.Float64() < r.cfg.Publish
		r.relays = r.relays[:0]
		r.salt = [2]uint64{r.rng.Uint64(), r.rng.Uint64()}
	}
	for i, p := range r.relays {
		if !slices.Contains(r.peers, p) {
			r.relays[i] = r.draw()
		}
	}
	r.relays = slices.DeleteFunc(r.relays, func(p peerscore.PeerID) bool { return p == own })
	for len(r.relays) < r.cfg.Relays {
		p := r.draw()
		if p == own {
			return
		}
		r.relays = append(r.relays, p)
	}
}

// draw picks a peer that is no relay yet, if there is any.
func (r *Router) draw() peerscore.PeerID {
	var free []peerscore.PeerID
	for _, p := range r.peers {
		if !slices.Contains(r.relays, p) {
			free = append(free, p)
		}
	}
	if len(free) == 0 {
		return own
	}
	return free[r.rng.IntN(len(free))]
}

// road is whom to hand what comes from a peer to: the relay of its route, then the others.
func (r *Router) road(from peerscore.PeerID) []peerscore.PeerID {
	if len(r.relays) == 0 {
		return nil
	}
	route := siphash.Hash(r.salt[0], r.salt[1], []byte(from)) % uint64(len(r.relays))
	road := slices.Concat(r.relays[route:], r.relays[:route])
	return slices.DeleteFunc(road, func(p peerscore.PeerID) bool { return p == from })
}

// Own holds a transaction of this node and says whom to hand it to: the first that takes it.
// Where it is nobody, it comes out of [Router.Retry] later. Full means that it is not held,
// since [Config].MaxOwn of our own are.
func (r *Router) Own(now time.Time, tx validation.CheckedTx) (to []peerscore.PeerID, err error) {
	r.turn(now)
	if r.held[tx.ID()] == nil && !r.hold(now, tx, own) {
		return nil, Full
	}
	to = r.road(own)
	if len(to) == 0 {
		r.held[tx.ID()].idle = now.Add(-retryAfter) // whenever there is a relay
	}
	return to, nil
}

// retryAfter is how long one of ours that nobody took is left alone: relays may be busy.
const retryAfter = 5 * time.Second

// Retry returns those of our own that nobody took, and whom to hand them to now.
func (r *Router) Retry(now time.Time) (txs []validation.CheckedTx, to []peerscore.PeerID) {
	r.turn(now)
	if to = r.road(own); len(to) == 0 {
		return nil, nil
	}
	var again []*held
	for _, h := range r.held {
		if !h.idle.IsZero() && now.Sub(h.idle) >= retryAfter {
			again = append(again, h)
		}
	}
	sortHeld(again)
	for _, h := range again {
		h.idle = time.Time{}
		txs = append(txs, h.tx)
	}
	return txs, to
}

// Relayed says what to do with a valid transaction that a peer handed in.
func (r *Router) Relayed(now time.Time, from peerscore.PeerID, tx validation.CheckedTx) Step {
	r.turn(now)
	if r.held[tx.ID()] != nil {
		r.Seen(tx.ID())
		return Step{Publish: true}
	}
	if r.public {
		return Step{Publish: true}
	}
	road := r.road(from)
	if len(road) == 0 || !r.hold(now, tx, from) {
		return Step{Publish: true}
	}
	return Step{To: road}
}

// room says whether one more can be held. What peers hand in takes no place of our own.
func (r *Router) room(size int, from peerscore.PeerID) bool {
	if from == own {
		return r.counts[own] < r.cfg.MaxOwn
	}
	return r.counts[from] < r.cfg.MaxPerPeer && len(r.held)-r.counts[own] < r.cfg.MaxHeld && r.bytes+size <= r.cfg.MaxBytes
}

func (r *Router) hold(now time.Time, tx validation.CheckedTx, from peerscore.PeerID) bool {
	if !r.room(tx.Size(), from) {
		return false
	}
	wait := time.Duration(r.rng.ExpFloat64() * float64(r.cfg.Embargo))
	r.held[tx.ID()] = &held{tx: tx.Clone(), from: from, due: now.Add(wait)}
	r.counts[from]++
	if from != own {
		r.bytes += tx.Size()
	}
	return true
}

// Stuck says that nobody took a transaction. One that a peer handed in is due at once; one
// of ours is tried again, and waits for its embargo otherwise, as it would behind a relay
// that keeps it.
func (r *Router) Stuck(now time.Time, id wire.TxID) {
	switch h := r.held[id]; {
	case h == nil:
	case h.from == own:
		h.idle = now
	default:
		h.due = now
	}
}

// Seen says that a transaction is public. It is not held any more.
func (r *Router) Seen(id wire.TxID) {
	h := r.held[id]
	if h == nil {
		return
	}
	delete(r.held, id)
	if h.from != own {
		r.bytes -= h.tx.Size()
	}
	if r.counts[h.from]--; r.counts[h.from] == 0 {
		delete(r.counts, h.from)
	}
}

// Due returns the transactions whose embargo has ended, the earliest first, and holds them
// no more.
func (r *Router) Due(now time.Time) []Released {
	var due []*held
	for _, h := range r.held {
		if !h.due.After(now) {
			due = append(due, h)
		}
	}
	sortHeld(due)
	out := make([]Released, len(due))
	for i, h := range due {
		out[i] = Released{h.tx, h.from}
		r.Seen(h.tx.ID())
	}
	return out
}

// sortHeld puts the earliest due first.
func sortHeld(list []*held) {
	slices.SortFunc(list, func(a, b *held) int {
		x, y := a.tx.ID(), b.tx.ID()
		return cmp.Or(a.due.Compare(b.due), slices.Compare(x[:], y[:]))
	})
}

// Holding returns the ids of what is held, in no order.
func (r *Router) Holding() []wire.TxID {
	ids := make([]wire.TxID, 0, len(r.held))
	for id := range r.held {
		ids = append(ids, id)
	}
	return ids
}

// Len is how many transactions are held.
func (r *Router) Len() int { return len(r.held) }
