package dial

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// Reason is why an address is dialled.
type Reason uint8

const (
	Anchor    Reason = iota + 1 // it served us long
	Outbound                    // the book proposes it
	Bootstrap                   // the operator named it
	Feeler                      // only to see whether it answers; the link is not kept
)

func (r Reason) String() string {
	switch r {
	case Anchor:
		return "anchor"
	case Outbound:
		return "book"
	case Bootstrap:
		return "bootstrap"
	case Feeler:
		return "feeler"
	}
	return ""
}

// Dial is one address to dial now. The caller answers it with Connected, Failed
// or Void.
type Dial struct {
	Address Address
	Why     Reason
}

// Keeper decides whom to dial. It is not safe for concurrent use.
type Keeper struct {
	config Config // constant
	rng    *rand.Rand
	book   *Book
	seeds  []seed

	alone      time.Time // since when, where there is no link that k chose; zero before the first Tick
	nextFeeler time.Time
	anchors    []anchor // best first
	links      []*link  // in the order of their coming
	pending    []trial  // in the order of their start
	heard      map[peerscore.PeerID]*allowance
}

// seed is a bootstrap peer.
type seed struct {
	addr  Address
	pause pause
}

// link is one connection.
type link struct {
	addr  Address   // as seen; of a link that was not asked for, with the port it came from
	since time.Time // when it came, or was last credited to its anchor
	why   Reason    // zero for one that was not asked for
}

func (l *link) outbound() bool { return l.why != 0 }

// trial is a dial under way.
type trial struct {
	Dial
	since time.Time
}

// maxPending bounds the dials under way, those that drag on included.
const maxPending = 64

// MaxSeeds is how many bootstrap addresses are taken: a name that resolves to
// more is not the operator's list any more.
const MaxSeeds = 64

// maxLinks bounds the links that are told to a Keeper; the shell's own bound is
// lower.
const maxLinks = 4096

// New returns a Keeper over an empty book. The key is secret, and is kept with
// the state from then on; the bootstrap peers are the operator's and are taken
// as they are.
func New(config Config, key Key, bootstrap []Address, rng *rand.Rand) (*Keeper, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("dial: new keeper: %w", err)
	}
	k := &Keeper{config: config, rng: rng, book: NewBook(key), heard: make(map[peerscore.PeerID]*allowance)}
	for _, a := range bootstrap {
		if !a.valid() {
			return nil, fmt.Errorf("dial: new keeper: bootstrap address %v of %q is not well formed", a.At, a.Peer)
		}
	}
	k.Seeds(bootstrap)
	return k, nil
}

// Seeds replaces the bootstrap addresses, such as when a name of theirs was
// resolved anew. What is not well formed, and what is beyond MaxSeeds, is left
// out.
func (k *Keeper) Seeds(bootstrap []Address) {
	seeds := make([]seed, 0, min(len(bootstrap), MaxSeeds))
	for _, a := range bootstrap {
		if !a.valid() || len(seeds) == MaxSeeds {
			continue
		}
		s := seed{addr: a}
		if old := k.seedOf(a); old != nil {
			s = *old
		}
		seeds = append(seeds, s)
	}
	k.seeds = seeds
}

func (k *Keeper) seedOf(a Address) *seed {
	for i := range k.seeds {
		if k.seeds[i].addr == a {
			return &k.seeds[i]
		}
	}
	return nil
}

// Book is the address book of k, to be read.
func (k *Keeper) Book() *Book { return k.book }

// Outbound is the number of links that k chose and keeps.
func (k *Keeper) Outbound() int {
	n := 0
	for _, l := range k.links {
		if l.outbound() {
			n++
		}
	}
	return n
}

// Why is the reason for which k chose the link to p; zero if it did not.
func (k *Keeper) Why(p peerscore.PeerID) Reason {
	for _, l := range k.links {
		if l.addr.Peer == p {
			return l.why
		}
	}
	return 0
}

// Tick returns what to dial now, appended to out.
func (k *Keeper) Tick(now time.Time, out []Dial) []Dial {
	if k.alone.IsZero() {
		k.alone = now
		k.nextFeeler = now.Add(vary(k.config.FeelerEvery, k.rng))
	}
	for {
		d, ok := k.next(now)
		if !ok {
			return out
		}
		k.book.Tried(now, d.Address)
		k.pending = append(k.pending, trial{Dial: d, since: now})
		out = append(out, d)
	}
}

// next decides on one dial more.
func (k *Keeper) next(now time.Time) (Dial, bool) {
	if k.config.Outbound == 0 {
		return Dial{}, false
	}
	fresh := 0 // dials that do not drag on
	for _, t := range k.pending {
		if k.quick(now, t) {
			fresh++
		}
	}
	if fresh >= k.config.AtOnce || len(k.pending) >= maxPending {
		return Dial{}, false
	}
	missing := k.config.Outbound - k.Outbound() - fresh
	if missing <= 0 {
		return k.feeler(now)
	}
	held, a, ok := k.nextAnchor(now)
	if ok {
		return Dial{a, Anchor}, true
	}
	late := k.Outbound() == 0 && now.Sub(k.alone) >= k.config.BootstrapAfter
	if late && !k.asking(now) { // one at a time beside the book, which may hold dead addresses only
		if a, ok := k.nextSeed(now); ok {
			return Dial{a, Bootstrap}, true
		}
	}
	if missing > held {
		if a, ok := k.pick(now, func(a Address) bool { return k.fits(now, a) }); ok {
			return Dial{a, Outbound}, true
		}
		if k.Outbound()+fresh < k.config.Least {
			if a, ok := k.pick(now, func(a Address) bool { return !k.knows(a.Peer) }); ok {
				return Dial{a, Outbound}, true
			}
		}
	}
	if late || k.Outbound() == 0 && len(k.anchors) == 0 && len(k.book.entries) == 0 {
		if a, ok := k.nextSeed(now); ok {
			return Dial{a, Bootstrap}, true
		}
	}
	if k.Outbound()+fresh == 0 {
		return Dial{}, false
	}
	return k.feeler(now) // nobody fits: there are fewer networks than slots
}

// nextSeed returns a bootstrap peer to dial, if one is due.
func (k *Keeper) nextSeed(now time.Time) (Address, bool) {
	for i := range k.seeds {
		s := &k.seeds[i]
		if s.pause.over(now) && !k.knows(s.addr.Peer) {
			return s.addr, true
		}
	}
	return Address{}, false
}

// asking says whether a bootstrap peer is being dialled.
func (k *Keeper) asking(now time.Time) bool {
	return slices.ContainsFunc(k.pending, func(t trial) bool { return t.Why == Bootstrap && k.quick(now, t) })
}

// pick draws an address from either table, which of them at random.
func (k *Keeper) pick(now time.Time, fits func(Address) bool) (Address, bool) {
	first := k.rng.IntN(2) == 0
	for _, tried := range [2]bool{first, !first} {
		if a, ok := k.book.Pick(now, k.rng, tried, fits); ok {
			return a, true
		}
	}
	return Address{}, false
}

// nextAnchor returns an anchor to dial, if one is due, and how many slots the
// anchors still hold.
func (k *Keeper) nextAnchor(now time.Time) (held int, a Address, ok bool) {
	have := 0
	for _, l := range k.links {
		if l.why == Anchor {
			have++
		}
	}
	waiting := 0
	for _, t := range k.pending {
		if t.Why == Anchor {
			waiting++
			if k.quick(now, t) {
				have++
			}
		}
	}
	hope := 0
	for i := range k.anchors {
		n := &k.anchors[i]
		if !n.pause.over(now) || !k.fits(now, n.addr) {
			continue
		}
		if !ok {
			a, ok = n.addr, true
		}
		hope++
	}
	free := max(0, k.config.AnchorSlots-have)
	return min(free, hope+waiting), a, ok && free > 0
}

// feeler returns an address to test: one that another claims the place of, or a
// fresh one.
func (k *Keeper) feeler(now time.Time) (Dial, bool) {
	if now.Before(k.nextFeeler) {
		return Dial{}, false
	}
	k.nextFeeler = now.Add(vary(k.config.FeelerEvery, k.rng))
	if a, ok := k.book.Test(); ok {
		if k.linked(a) {
			k.book.Good(now, a) // it answers all the time
		} else if !k.knows(a.Peer) {
			return Dial{a, Feeler}, true
		}
	}
	a, ok := k.book.Pick(now, k.rng, false, func(a Address) bool { return !k.knows(a.Peer) })
	return Dial{a, Feeler}, ok
}

// fits says whether an outbound link to a may be added.
func (k *Keeper) fits(now time.Time, a Address) bool {
	return !k.knows(a.Peer) && k.roomIn(now, GroupOf(a.At.Addr()))
}

// roomIn says whether one more outbound link may lead into g.
func (k *Keeper) roomIn(now time.Time, g Group) bool {
	n := 0
	for _, l := range k.links {
		if l.outbound() && GroupOf(l.addr.At.Addr()) == g {
			n++
		}
	}
	for _, t := range k.pending {
		if t.Why != Feeler && k.quick(now, t) && GroupOf(t.Address.At.Addr()) == g {
			n++
		}
	}
	return n < k.config.PerGroup
}

func (k *Keeper) quick(now time.Time, t trial) bool { return now.Sub(t.since) < k.config.Drags }

// knows says whether p is connected or being dialled.
func (k *Keeper) knows(p peerscore.PeerID) bool {
	return k.Pending(p) != 0 || slices.ContainsFunc(k.links, func(l *link) bool { return l.addr.Peer == p })
}

func (k *Keeper) linked(a Address) bool {
	return slices.ContainsFunc(k.links, func(l *link) bool { return l.outbound() && l.addr == a })
}

// Connected answers a Dial: a answered, and proved to be its peer. If it
// returns false the link is surplus (a feeler, or the slot was filled
// meanwhile): the caller closes it, and does not report it as gone.
func (k *Keeper) Connected(now time.Time, a Address) (keep bool) {
	t, ok := k.settle(a)
	if !ok {
		return false
	}
	k.book.Good(now, a)
	if n := k.anchorOf(a); n != nil {
		n.pause = pause{}
	}
	if s := k.seedOf(a); s != nil {
		s.pause = pause{}
	}
	if t.Why == Feeler || k.Outbound() >= k.config.Outbound || k.knows(a.Peer) || len(k.links) >= maxLinks {
		return false
	}
	if t.Why != Bootstrap && k.Outbound() >= k.config.Least && !k.roomIn(now, GroupOf(a.At.Addr())) {
		return false
	}
	k.links = append(k.links, &link{addr: a, since: now, why: t.Why})
	return true
}

// Failed answers a Dial: nobody answered at a, or somebody else did.
func (k *Keeper) Failed(now time.Time, a Address) {
	if _, ok := k.settle(a); !ok {
		return
	}
	k.delay(now, a)
	if len(k.links) == 0 {
		return // nobody answers us: the reason may be on our side
	}
	k.book.Failed(now, a)
	if k.anchorOf(a) != nil {
		k.weaken(a)
	}
}

// Void answers a Dial that says nothing of a: it was not carried out, for a
// reason of our own. It is made again after a pause.
func (k *Keeper) Void(now time.Time, a Address) {
	if _, ok := k.settle(a); ok {
		k.delay(now, a)
	}
}

// delay holds back the next dial of a.
func (k *Keeper) delay(now time.Time, a Address) {
	if e := k.book.entries[a]; e != nil {
		e.pause.lengthen(now, k.config, k.rng)
	}
	if n := k.anchorOf(a); n != nil {
		n.pause.lengthen(now, k.config, k.rng)
	}
	if s := k.seedOf(a); s != nil {
		s.pause.lengthen(now, k.config, k.rng)
	}
}

// Accepted notes a link that k did not ask for, of a peer seen at an address:
// an inbound one, or one that the operator made.
func (k *Keeper) Accepted(now time.Time, p peerscore.PeerID, at netip.AddrPort) {
	if len(k.links) < maxLinks && !slices.ContainsFunc(k.links, func(l *link) bool { return l.addr.Peer == p }) {
		k.links = append(k.links, &link{addr: Address{Peer: p, At: at}, since: now})
	}
}

// Gone notes that the link to p is no more.
func (k *Keeper) Gone(now time.Time, p peerscore.PeerID) {
	delete(k.heard, p)
	i := slices.IndexFunc(k.links, func(l *link) bool { return l.addr.Peer == p })
	if i < 0 {
		return
	}
	l := k.links[i]
	if l.outbound() && now.Sub(l.since) < leastService {
		k.delay(now, l.addr) // it sends us away, and would again
	}
	k.credit(now, l)
	k.links = slices.Delete(k.links, i, i+1)
	if l.outbound() && k.Outbound() == 0 {
		k.alone = now
	}
}

// Pending is why a dial of p is under way; zero if none is.
func (k *Keeper) Pending(p peerscore.PeerID) Reason {
	for _, t := range k.pending {
		if t.Address.Peer == p {
			return t.Why
		}
	}
	return 0
}

// settle takes the trial of a from those under way.
func (k *Keeper) settle(a Address) (trial, bool) {
	i := slices.IndexFunc(k.pending, func(t trial) bool { return t.Address == a })
	if i < 0 {
		return trial{}, false
	}
	t := k.pending[i]
	k.pending = slices.Delete(k.pending, i, i+1)
	return t, true
}
