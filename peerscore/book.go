package peerscore

import (
	"fmt"
	"iter"
	"math"
	"net/netip"
	"slices"
	"time"
)

// Book keeps the reputation and the bans of peers. It is not safe for concurrent
// use.
//
// Peer ids cost nothing, so a Book is bounded and an attacker decides how many
// ids it meets. To make it forget a record, the attacker must hold as many ids
// as there are records, each at that moment more guilty than the record to be
// forgotten: it must commit, [Config].MaxRecords times over, at least the
// offence that it wants forgotten. Fresh ids with small offences only push out
// each other. What is proven, what is inferred and what is earned are counted
// apart, so that none displaces another. So are bans, ranked by their end:
// records never displace a ban, and to flush a ban an attacker must earn
// [Config].MaxBans bans that end later. A ban set by the operator for longer
// than [Config].BanFor outlives all that are earned.
type Book struct {
	config Config // constant since New

	now    time.Time // latest time seen
	guilt  tally     // of proven offences
	doubt  tally     // of inferred ones
	merit  tally
	hoods  tally // guilt by prefix
	bans   shelf[int64]
	reason map[PeerID]verdict
	zones  zones
}

// verdict is why a peer is banned.
type verdict struct {
	why    string
	byHand bool
}

// Standing is what a Book knows of one peer at one time. Numbers are in units
// of score, decayed.
type Standing struct {
	Peer        PeerID
	Guilt       float64   // for proven offences
	Doubt       float64   // for inferred ones, at most MaxInferred
	Merit       float64   // at most MaxMerit
	BannedUntil time.Time // zero if not banned
	Reason      string    // of the ban
	ByHand      bool      // the operator set the ban
}

// MaxReason bounds the bytes of a ban's reason; longer ones are cut.
const MaxReason = 256

// New returns an empty Book, or an error that lists what is wrong with the
// configuration.
func New(config Config) (*Book, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("peerscore: new book: %w", err)
	}
	records := func() tally { return newTally(config.HalfLife, config.Negligible, config.MaxRecords) }
	return &Book{
		config: config,
		guilt:  records(), doubt: records(), hoods: records(),
		merit:  newTally(config.MeritHalfLife, config.Negligible, config.MaxRecords),
		bans:   newShelf[int64](config.MaxBans),
		reason: make(map[PeerID]verdict),
		zones:  newZones(config.MaxBans),
	}, nil
}

// Record adds one offence to the guilt of p, and bans p if it is proven and
// the guilt is enough. It returns whether p is banned now. An offence that is
// none of this package's constants changes nothing.
func (b *Book) Record(now time.Time, p PeerID, o Offence) (banned bool) {
	return b.RecordAt(now, p, netip.Addr{}, o)
}

// RecordAt is Record for a peer whose address is known. A proven offence counts
// against the address' prefixes too; where others of a prefix offended before,
// it weighs more, up to [Config].HoodFactor times. A prefix never weighs on
// peers that do nothing wrong themselves. Once BansPerAddress peers of one
// address (IPv6: /64) are banned, the address is.
func (b *Book) RecordAt(now time.Time, p PeerID, addr netip.Addr, o Offence) (banned bool) {
	now = b.advance(now)
	if !o.valid() {
		return b.bannedAt(now, p)
	}
	adds := b.config.Weights[o]
	if !o.Proven() {
		b.doubt.set(now, p, min(b.config.MaxInferred, b.doubt.at(now, p)+adds))
		return b.bannedAt(now, p)
	}
	hoods := Hoods(addr)
	worst := 0.0
	for _, hood := range hoods {
		name := PeerID(hood.String())
		before := b.hoods.at(now, name)
		worst = max(worst, before-b.guilt.at(now, p)) // by others
		b.hoods.set(now, name, min(b.config.MaxHood, before+adds))
	}
	adds *= 1 + (b.config.HoodFactor-1)*min(1, worst/b.config.BanAt)
	total := b.guilt.at(now, p) + adds
	b.guilt.set(now, p, total)
	// Going through the logarithm may have cost the last digits.
	if total >= b.config.BanAt*(1-1e-9) {
		already := b.bannedAt(now, p)
		b.banUntil(p, now.Add(b.config.BanFor), verdict{why: o.String()})
		if !already {
			b.zones.count(now, addr, now.Add(b.config.BanFor), b.config.BansPerAddress)
		}
	}
	return b.bannedAt(now, p)
}

// Earn adds a merit to p: a message that it was the first to deliver turned out
// to be of use.
func (b *Book) Earn(now time.Time, p PeerID) {
	now = b.advance(now)
	b.merit.set(now, p, min(b.config.MaxMerit, b.merit.at(now, p)+b.config.MeritWeight))
}

// Score is the application-specific score of p for GossipSub, the sum of
// [Book.Terms]. It costs four map look-ups and three powers of two.
func (b *Book) Score(now time.Time, p PeerID) float64 {
	now = b.advance(now)
	var score float64
	for _, t := range b.terms(now, p) {
		score += t
	}
	return score + 0 // no negative zero
}

// Proven is what proven offences alone make of the score of p, bans aside: its
// guilt, and what it forfeits while one of them stands. It is at most 0.
func (b *Book) Proven(now time.Time, p PeerID) float64 {
	t := b.terms(b.advance(now), p)
	return t[termGuilt] + t[termForfeit] + 0 // no negative zero
}

// The parts of a Book's score, in the order of Terms.
const (
	termMerit = iota
	termGuilt
	termForfeit
	termDoubt
	termBan
	termCount
)

var termNames = [termCount]string{"merit", "guilt", "forfeit", "doubt", "ban"}

func (b *Book) terms(now time.Time, p PeerID) (t [termCount]float64) {
	t[termGuilt], t[termDoubt] = -b.guilt.at(now, p), -b.doubt.at(now, p)
	if -t[termGuilt] >= b.config.Stands {
		// Whoever stands convicted gets nothing for what else it does.
		t[termForfeit] = -b.config.TopicScoreCap
	}
	switch {
	case b.bannedAt(now, p):
		t[termBan] = b.config.Thresholds.Graylist - b.config.TopicScoreCap - 1
	case t[termGuilt] == 0 && t[termDoubt] == 0:
		t[termMerit] = b.merit.at(now, p)
	}
	return t
}

// Term is one summand of a score.
type Term struct {
	Name  string
	Value float64
	Why   string // for people
}

// Terms explains the score of p: its summands that are not 0.
func (b *Book) Terms(now time.Time, p PeerID) []Term {
	now = b.advance(now)
	why := [termCount]string{
		termMerit:   "first to deliver what later came into a block",
		termGuilt:   "proven offences",
		termForfeit: "what topics give does not count while an offence stands",
		termDoubt:   "offences that are inferred",
		termBan:     b.reason[p].why,
	}
	var out []Term
	for i, v := range b.terms(now, p) {
		if v != 0 {
			out = append(out, Term{termNames[i], v, why[i]})
		}
	}
	return out
}

// Banned says whether a ban of p is in force.
func (b *Book) Banned(now time.Time, p PeerID) bool {
	return b.bannedAt(b.advance(now), p)
}

// Ban bans p until the time given, for the reason given. A ban that ends later
// stays as it is; one that is already over changes nothing.
func (b *Book) Ban(now time.Time, p PeerID, until time.Time, why string) {
	if until.After(b.advance(now)) {
		b.banUntil(p, until, verdict{why: why})
	}
}

// Forget clears the record and the ban of p.
func (b *Book) Forget(p PeerID) {
	b.guilt.shelf.drop(p)
	b.doubt.shelf.drop(p)
	b.merit.shelf.drop(p)
	b.unban(p)
}

// Standing returns what is known of p.
func (b *Book) Standing(now time.Time, p PeerID) Standing {
	now = b.advance(now)
	s := Standing{Peer: p, Guilt: b.guilt.at(now, p), Doubt: b.doubt.at(now, p), Merit: b.merit.at(now, p)}
	if b.bannedAt(now, p) {
		end, _ := b.bans.rank(p)
		v := b.reason[p]
		s.BannedUntil, s.Reason, s.ByHand = time.UnixMilli(end), v.why, v.byHand
	}
	return s
}

// All yields every peer with a record or a ban at the time given, by peer id.
func (b *Book) All(now time.Time) iter.Seq[Standing] {
	now = b.advance(now)
	var peers []PeerID
	for _, ranks := range []map[PeerID]float64{b.guilt.shelf.ranks, b.doubt.shelf.ranks, b.merit.shelf.ranks} {
		for p := range ranks {
			peers = append(peers, p)
		}
	}
	for p := range b.bans.ranks {
		peers = append(peers, p)
	}
	slices.Sort(peers) // map order is not ours to use
	peers = slices.Compact(peers)
	return func(yield func(Standing) bool) {
		for _, p := range peers {
			s := b.Standing(now, p)
			if s.Guilt == 0 && s.Doubt == 0 && s.Merit == 0 && s.BannedUntil.IsZero() {
				continue
			}
			if !yield(s) {
				return
			}
		}
	}
}

// Restore puts back a standing that [Book.All] yielded saved, decayed by the
// time since. A standing that no Book could have yielded changes nothing.
func (b *Book) Restore(saved, now time.Time, s Standing) {
	now = b.advance(now)
	b.guilt.restore(saved, now, s.Peer, s.Guilt, math.Inf(1))
	b.doubt.restore(saved, now, s.Peer, s.Doubt, b.config.MaxInferred)
	b.merit.restore(saved, now, s.Peer, s.Merit, b.config.MaxMerit)
	if s.BannedUntil.After(now) {
		b.banUntil(s.Peer, s.BannedUntil, verdict{s.Reason, s.ByHand})
	}
}

// Len is the number of records of guilt and of bans that are held, stale ones
// included.
func (b *Book) Len() (records, bans int) { return b.guilt.shelf.len(), b.bans.len() }

// advance takes note of the time and drops the bans that have ended.
func (b *Book) advance(now time.Time) time.Time {
	if now.Before(b.now) {
		return b.now
	}
	b.now = now
	for {
		p, end, ok := b.bans.lowest()
		if !ok || end > now.UnixMilli() {
			break
		}
		b.unban(p)
	}
	b.zones.advance(now)
	return now
}

func (b *Book) bannedAt(now time.Time, p PeerID) bool {
	end, ok := b.bans.rank(p)
	return ok && end > now.UnixMilli()
}

func (b *Book) banUntil(p PeerID, until time.Time, v verdict) {
	end := until.UnixMilli()
	if old, ok := b.bans.rank(p); ok && old >= end {
		return
	}
	if lost, full := b.bans.put(p, end); full {
		delete(b.reason, lost)
	}
	v.why = v.why[:min(len(v.why), MaxReason)]
	b.reason[p] = v
}

func (b *Book) unban(p PeerID) {
	b.bans.drop(p)
	delete(b.reason, p)
}
