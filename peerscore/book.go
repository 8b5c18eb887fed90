package peerscore

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"time"
)

// Book keeps the guilt and the bans of peers. It is not safe for concurrent
// use.
//
// Peer ids cost nothing, so a Book is bounded and an attacker decides how many
// ids it meets. To make it forget a record, the attacker must hold as many ids
// as there are records, each at that moment more guilty than the record to be
// forgotten: it must commit, [Config].MaxRecords times over, at least the
// offence that it wants forgotten. Fresh ids with small offences only push out
// each other. Bans are counted apart from records and ranked by their end, so
// records never displace a ban, and to flush a ban an attacker must earn
// [Config].MaxBans bans that end later. A ban set by the operator for longer
// than [Config].BanFor outlives all that are earned.
type Book struct {
	config Config // constant since New

	now    time.Time // latest time seen; ranks below count from epoch
	epoch  time.Time
	guilt  shelf[float64] // by the logarithm of guilt, as rankOf defines it
	bans   shelf[int64]   // by the end, in unix milliseconds
	reason map[PeerID]string
}

// Standing is what a Book knows of one peer at one time.
type Standing struct {
	Peer        PeerID
	Guilt       float64   // in score units, decayed; 0 if none
	BannedUntil time.Time // zero if not banned
	Reason      string    // of the ban
}

// MaxReason bounds the bytes of a ban's reason; longer ones are cut.
const MaxReason = 256

// New returns an empty Book, or an error that lists what is wrong with the
// configuration.
func New(config Config) (*Book, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("peerscore: new book: %w", err)
	}
	return &Book{
		config: config,
		guilt:  newShelf[float64](config.MaxRecords),
		bans:   newShelf[int64](config.MaxBans),
		reason: make(map[PeerID]string),
	}, nil
}

// Record adds one offence to the guilt of p, and bans p if it is proven and
// the guilt is enough. It returns whether p is banned now. An offence that is
// none of this package's constants changes nothing.
func (b *Book) Record(now time.Time, p PeerID, o Offence) (banned bool) {
	now = b.advance(now)
	if !o.valid() {
		return b.bannedAt(now, p)
	}
	total := b.guiltAt(now, p)
	adds := b.config.Weights[o]
	if !o.Proven() {
		adds = min(adds, max(0, b.config.MaxInferred-total))
	}
	if adds == 0 {
		return b.bannedAt(now, p)
	}
	total += adds
	b.guilt.put(p, b.rankOf(total, now))
	// Going through the logarithm may have cost the last digits.
	if o.Proven() && total >= b.config.BanAt*(1-1e-9) {
		b.banUntil(p, now.Add(b.config.BanFor), o.String())
	}
	return b.bannedAt(now, p)
}

// Score is the application-specific score of p for GossipSub: 0 for a clean
// record, else negative. A banned peer's is below the graylist threshold by
// more than any topic can make up for.
func (b *Book) Score(now time.Time, p PeerID) float64 {
	now = b.advance(now)
	score := -b.guiltAt(now, p)
	if b.bannedAt(now, p) {
		score += b.config.Thresholds.Graylist - b.config.TopicScoreCap - 1
	}
	return score + 0 // no negative zero
}

// Banned says whether a ban of p is in force.
func (b *Book) Banned(now time.Time, p PeerID) bool {
	return b.bannedAt(b.advance(now), p)
}

// Ban bans p until the time given, for the reason given. A ban that ends later
// stays as it is; one that is already over changes nothing.
func (b *Book) Ban(now time.Time, p PeerID, until time.Time, why string) {
	if until.After(b.advance(now)) {
		b.banUntil(p, until, why)
	}
}

// Forget clears the record and the ban of p.
func (b *Book) Forget(p PeerID) {
	b.guilt.drop(p)
	b.unban(p)
}

// Standing returns what is known of p.
func (b *Book) Standing(now time.Time, p PeerID) Standing {
	now = b.advance(now)
	s := Standing{Peer: p, Guilt: b.guiltAt(now, p)}
	if b.bannedAt(now, p) {
		end, _ := b.bans.rank(p)
		s.BannedUntil, s.Reason = time.UnixMilli(end), b.reason[p]
	}
	return s
}

// All yields every peer with a record or a ban at the time given, by peer id.
func (b *Book) All(now time.Time) iter.Seq[Standing] {
	now = b.advance(now)
	peers := make([]PeerID, 0, b.guilt.len()+b.bans.len())
	for p := range b.guilt.ranks {
		peers = append(peers, p)
	}
	for p := range b.bans.ranks {
		peers = append(peers, p)
	}
	slices.Sort(peers) // map order is not ours to use
	peers = slices.Compact(peers)
	return func(yield func(Standing) bool) {
		for _, p := range peers {
			s := b.Standing(now, p)
			if s.Guilt == 0 && s.BannedUntil.IsZero() {
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
	if s.Guilt > 0 && !math.IsInf(s.Guilt, 1) {
		left := s.Guilt * math.Exp2(-b.halfLives(max(0, now.Sub(saved))))
		if left += b.guiltAt(now, s.Peer); left >= b.config.Negligible {
			b.guilt.put(s.Peer, b.rankOf(left, now))
		}
	}
	if s.BannedUntil.After(now) {
		b.banUntil(s.Peer, s.BannedUntil, s.Reason)
	}
}

// Len is the number of records and of bans that are held, stale ones included.
func (b *Book) Len() (records, bans int) { return b.guilt.len(), b.bans.len() }

// advance takes note of the time, sets the epoch at the first call, and drops
// the bans that have ended.
func (b *Book) advance(now time.Time) time.Time {
	if b.epoch.IsZero() {
		b.epoch, b.now = now, now
	}
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
	return now
}

// rankOf places a guilt that p has now. Because all guilt decays at one rate,
// the order of two peers never changes while neither offends; so what is kept
// is the logarithm of the guilt that p would have had at the epoch, and
// decaying is a subtraction at the moment of asking.
func (b *Book) rankOf(guilt float64, now time.Time) float64 {
	return math.Log2(guilt) + b.halfLives(now.Sub(b.epoch))
}

func (b *Book) guiltAt(now time.Time, p PeerID) float64 {
	rank, ok := b.guilt.rank(p)
	if !ok {
		return 0
	}
	guilt := math.Exp2(rank - b.halfLives(now.Sub(b.epoch)))
	if guilt < b.config.Negligible {
		return 0
	}
	return guilt
}

func (b *Book) halfLives(d time.Duration) float64 {
	return float64(d) / float64(b.config.HalfLife)
}

func (b *Book) bannedAt(now time.Time, p PeerID) bool {
	end, ok := b.bans.rank(p)
	return ok && end > now.UnixMilli()
}

func (b *Book) banUntil(p PeerID, until time.Time, why string) {
	end := until.UnixMilli()
	if old, ok := b.bans.rank(p); ok && old >= end {
		return
	}
	if lost, full := b.bans.put(p, end); full {
		delete(b.reason, lost)
	}
	b.reason[p] = why[:min(len(why), MaxReason)]
}

func (b *Book) unban(p PeerID) {
	b.bans.drop(p)
	delete(b.reason, p)
}
