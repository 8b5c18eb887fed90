package dial

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// Bounds of a book beside its tables.
const (
	// MaxPerPeer is how many addresses of one peer are kept: both transports of
	// IPv4 and IPv6, twice. More would let one record fill the book.
	MaxPerPeer = 8
	// maxTests is how many addresses that answered may wait for the one in their
	// place to be tested; as in Bitcoin Core. Further ones must answer again.
	maxTests = 10
)

// When an address is worth no place; all from Bitcoin Core's addrman.
const (
	horizon     = 30 * 24 * time.Hour // not heard of for so long
	neverWorked = 3                   // failures of one that never answered
	worksNoMore = 10                  // failures since it last answered …
	notWithin   = 7 * 24 * time.Hour  // … so long ago
	justTried   = time.Minute         // not judged yet
	fromFuture  = 10 * time.Minute    // heard of by a wrong clock
)

// How likely an address is to be picked; from Bitcoin Core's addrman.
const (
	recently      = 10 * time.Minute // tried so lately, an address has …
	recentChance  = 0.01             // … this chance only
	failureChance = 0.66             // and this factor for each failure …
	maxFailures   = 8                // … up to this number
	impatience    = 1.2              // factor of the chance from one refusal to the next
)

// Book is the address book: fresh addresses, of which somebody told us, and
// tried ones, which have answered. It is not safe for concurrent use.
type Book struct {
	key Key // constant

	fresh, tried table
	entries      map[Address]*entry
	peers        map[peerscore.PeerID][]*entry // of each
	tests        []Address                     // fresh ones that answered and wait for a place, oldest first
}

type entry struct {
	addr   Address
	source Group // of who told us first
	heard  int64 // unix seconds, as all times here; last time somebody told us
	try    int64 // last attempt
	good   int64 // last success
	fails  uint8 // since then, our own failures not counted
	tried  bool
	place  int // in the table

	pause pause // not kept over a restart
}

// NewBook returns an empty book. The key is secret and stays with the book for
// its whole life.
func NewBook(key Key) *Book {
	return &Book{
		key: key, fresh: newTable(freshBuckets), tried: newTable(triedBuckets),
		entries: make(map[Address]*entry), peers: make(map[peerscore.PeerID][]*entry),
	}
}

// Len is the number of fresh and of tried addresses.
func (b *Book) Len() (fresh, tried int) { return b.fresh.used, b.tried.used }

// Learn notes that somebody at source told us of a, and returns whether a is in
// the book now. A place that is taken, in the table or among the addresses of the
// peer, stays so, unless what takes it is worth nothing any more. Whether a may be
// dialled at all is the caller's question.
func (b *Book) Learn(now time.Time, a Address, source netip.Addr) bool {
	if !a.valid() || !source.IsValid() {
		return false
	}
	if e := b.entries[a]; e != nil {
		e.heard = max(e.heard, now.Unix())
		return true
	}
	e := &entry{addr: a, source: GroupOf(source), heard: now.Unix()}
	place := b.key.freshPlace(a, e.source)
	sits := b.fresh.at[place]
	if sits != nil && !sits.worthless(now) {
		return false
	}
	if of := b.peers[a.Peer]; len(of) >= MaxPerPeer && (sits == nil || sits.addr.Peer != a.Peer) {
		i := slices.IndexFunc(of, func(e *entry) bool { return e.worthless(now) })
		if i < 0 {
			return false
		}
		b.remove(of[i])
	}
	if sits != nil {
		b.remove(sits)
	}
	b.insert(e, place)
	return true
}

// Tried notes that a is about to be dialled.
func (b *Book) Tried(now time.Time, a Address) {
	if e := b.entries[a]; e != nil {
		e.try = now.Unix()
	}
}

// Failed notes that a did not answer. A caller who may itself be the reason
// does not say so.
func (b *Book) Failed(now time.Time, a Address) {
	e := b.entries[a]
	if e == nil {
		return
	}
	if e.fails < math.MaxUint8 {
		e.fails++
	}
	if e.tried {
		b.settle(now, e, false)
	}
}

// Good notes that a answered and proved to be the peer. It moves into the tried
// table, if need be once the address that has its place there failed a test.
func (b *Book) Good(now time.Time, a Address) {
	e := b.entries[a]
	if e == nil {
		return
	}
	e.good, e.try, e.heard, e.fails, e.pause = now.Unix(), now.Unix(), max(e.heard, now.Unix()), 0, pause{}
	if e.tried {
		b.settle(now, e, true)
		return
	}
	sits := b.tried.at[b.key.triedPlace(a)]
	switch {
	case sits == nil:
		b.promote(e)
	case sits.addr.At == a.At && sits.addr.Over == a.Over: // the same place of the network answers as somebody else now
		b.remove(sits)
		b.promote(e)
	case len(b.tests) < maxTests && !slices.Contains(b.tests, a):
		b.tests = append(b.tests, a)
	}
}

// Test returns the address whose place in the tried table is claimed by another
// for longest.
func (b *Book) Test() (Address, bool) {
	for len(b.tests) > 0 {
		if claims := b.entries[b.tests[0]]; claims != nil && !claims.tried {
			if sits := b.tried.at[b.key.triedPlace(claims.addr)]; sits != nil {
				return sits.addr, true
			}
			b.promote(claims) // the place fell free
		}
		b.tests = b.tests[1:]
	}
	return Address{}, false
}

// settle ends the tests that wait for e: if it failed, the first of those who
// claim its place takes it, and e is fresh again if there is room.
func (b *Book) settle(now time.Time, e *entry, good bool) {
	var claims *entry
	b.tests = slices.DeleteFunc(b.tests, func(a Address) bool {
		c := b.entries[a]
		if c == nil || c.tried {
			return true
		}
		if b.key.triedPlace(a) != e.place {
			return false
		}
		if claims == nil {
			claims = c
		}
		return true
	})
	if good || claims == nil {
		return
	}
	b.remove(e)
	b.promote(claims)
	place := b.key.freshPlace(e.addr, e.source)
	if sits := b.fresh.at[place]; sits == nil || sits.worthless(now) {
		if sits != nil {
			b.remove(sits)
		}
		e.tried = false
		b.insert(e, place)
	}
}

// Pick draws an address to dial, from a bucket drawn at random of the fresh or
// the tried table. Addresses that were just tried or that failed are less
// likely. It returns false if it met none that fits.
func (b *Book) Pick(now time.Time, rng *rand.Rand, tried bool, fits func(Address) bool) (Address, bool) {
	t := &b.fresh
	if tried {
		t = &b.tried
	}
	const draws = 100 // with the factor of impatience, any chance has grown to 1 long before
	patience := 1.0
	for range draws {
		e := t.draw(rng)
		if e == nil {
			return Address{}, false
		}
		if !e.pause.over(now) || !fits(e.addr) {
			continue
		}
		if rng.Float64() < e.chance(now)*patience {
			return e.addr, true
		}
		patience *= impatience
	}
	return Address{}, false
}

func (b *Book) insert(e *entry, place int) {
	t := &b.fresh
	if e.tried {
		t = &b.tried
	}
	e.place = place
	t.put(e)
	if b.entries[e.addr] == nil {
		b.entries[e.addr] = e
		b.peers[e.addr.Peer] = append(b.peers[e.addr.Peer], e)
	}
}

func (b *Book) remove(e *entry) {
	t := &b.fresh
	if e.tried {
		t = &b.tried
	}
	t.take(e)
	delete(b.entries, e.addr)
	of := b.peers[e.addr.Peer]
	i := slices.Index(of, e)
	if of = slices.Delete(of, i, i+1); len(of) == 0 {
		delete(b.peers, e.addr.Peer)
		return
	}
	b.peers[e.addr.Peer] = of
}

// promote moves e from fresh to its place in tried, which is free.
func (b *Book) promote(e *entry) {
	b.fresh.take(e)
	e.tried = true
	b.insert(e, b.key.triedPlace(e.addr))
}

// worthless says whether e may be thrown out for another.
func (e *entry) worthless(now time.Time) bool {
	since := func(unix int64) time.Duration { return now.Sub(time.Unix(unix, 0)) }
	switch {
	case e.try != 0 && since(e.try) < justTried:
		return false
	case since(e.heard) < -fromFuture || since(e.heard) > horizon:
		return true
	case e.good == 0:
		return e.fails >= neverWorked
	default:
		return e.fails >= worksNoMore && since(e.good) > notWithin
	}
}

func (e *entry) chance(now time.Time) float64 {
	c := math.Pow(failureChance, float64(min(e.fails, maxFailures)))
	if e.try != 0 && now.Sub(time.Unix(e.try, 0)) < recently {
		c *= recentChance
	}
	return c
}
