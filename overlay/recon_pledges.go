package overlay

import (
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// pledgeCredit is how many transactions a peer may have told at a time that it was not
	// asked for yet: at first as many as the tracker takes of one. Each that it gives is worth
	// two, each that it does not give takes four: who gives two of three loses nothing.
	pledgeCredit = 10_000
	pledgeGiven  = 2
	pledgeLapsed = 4
	// pledgeTrial is what is left to who gave nothing, for it to do better.
	pledgeTrial = 32
	// pledgeDoubt is the credit below which a peer is doubted.
	pledgeDoubt = 128
	// A lapse counts after lapseAfter: a block that took the transaction from the peer's pool
	// may have to come yet. At most maxLapses of a peer wait so; others are not excused, and
	// cost credit only.
	lapseAfter = time.Second
	maxLapses  = 2048
	// In a round of pledgeRound a peer fails that says of more than half of what it is asked
	// for, and of pledgeMargin more, that it has it not. From pledgeDoubts in a row on that
	// counts: a pool that overflows explains one or two.
	pledgeRound  = 4 * time.Second
	pledgeMargin = 8
	pledgeDoubts = 3
	// Who failed so is shunned for pledgeShun, each time for twice as long up to
	// pledgeShunMax.
	pledgeShun    = 4 * time.Second
	pledgeShunMax = time.Minute
	// pledgeMemory is for how long they are remembered of peers that are gone, maxPledges of
	// how many in all.
	pledgeMemory = 10 * time.Minute
	maxPledges   = 2048
)

// errUnfetched says that a peer tells transactions in reconciliations and denies to have them
// when it is asked, again and again.
var errUnfetched = errors.New("overlay: tells what it denies to have when it is asked for it")

// pledges weighs what peers say they have against what they give when they are asked for it.
// The zero value knows nothing. It is not safe for concurrent use.
type pledges struct{ peers map[peer.ID]*pledge }

// pledge is one peer's.
type pledge struct {
	credit int
	told   int     // the credit when it was last settled
	lapses []lapse // that wait, oldest first
	last   time.Time

	began         time.Time // of the round; zero before anything happened in it
	given, denied int       // in the round
	failed        int       // rounds in a row
	shunned       time.Time // until then
	shun          time.Duration
}

// lapse is a transaction that a peer told and did not give.
type lapse struct {
	id     wire.TxID
	at     time.Time
	denied bool // it says that it has it not
}

// of is the pledge of a peer, made if need be. If there are too many, it takes the place of the
// one that nothing was noted of for longest.
func (p *pledges) of(now time.Time, id peer.ID) *pledge {
	one := p.peers[id]
	if one == nil {
		if len(p.peers) >= maxPledges {
			delete(p.peers, p.stalest())
		}
		if p.peers == nil {
			p.peers = make(map[peer.ID]*pledge)
		}
		one = &pledge{credit: pledgeCredit, told: pledgeCredit}
		p.peers[id] = one
	}
	one.last = now
	if one.began.IsZero() {
		one.began = now
	}
	return one
}

func (p *pledges) stalest() (id peer.ID) {
	var at time.Time
	for q, one := range p.peers {
		if id == "" || one.last.Before(at) || one.last.Equal(at) && q < id {
			id, at = q, one.last
		}
	}
	return id
}

// gave notes that a peer gave what it had told.
func (p *pledges) gave(now time.Time, id peer.ID) {
	one := p.of(now, id)
	one.credit = min(pledgeCredit, one.credit+pledgeGiven)
	one.given++
}

// lapsed notes that a peer did not give what it had told: it denies that it has it, or let the
// request pass.
func (p *pledges) lapsed(now time.Time, id peer.ID, tx wire.TxID, denied bool) {
	one := p.of(now, id)
	if len(one.lapses) < maxLapses {
		one.lapses = append(one.lapses, lapse{tx, now, denied})
		return
	}
	one.lapse()
}

func (o *pledge) lapse() { o.credit = max(pledgeTrial, o.credit-pledgeLapsed) }

// settle counts the lapses that waited long enough, but for those that are excused, and returns
// whose credit fell, and who failed so often that it counts.
func (p *pledges) settle(now time.Time, excused func(tx wire.TxID) bool) (fell, broke []peer.ID) {
	for id, one := range p.peers {
		for len(one.lapses) > 0 && now.Sub(one.lapses[0].at) >= lapseAfter {
			l := one.lapses[0]
			one.lapses = one.lapses[1:]
			if excused(l.id) {
				continue
			}
			one.lapse()
			if l.denied {
				one.denied++
			}
		}
		if one.credit < one.told {
			fell = append(fell, id)
		}
		one.told = one.credit
		if one.round(now) {
			broke = append(broke, id)
		}
	}
	return fell, broke
}

// round ends a round whose time is over, and says whether the peer has failed too often then.
func (o *pledge) round(now time.Time) bool {
	switch {
	case o.began.IsZero(), now.Sub(o.began) < pledgeRound:
		return false
	case o.given+o.denied == 0:
		if len(o.lapses) == 0 {
			o.began = time.Time{}
		}
		return false
	}
	failed := o.denied > pledgeMargin+(o.given+o.denied)/2
	o.began, o.given, o.denied = time.Time{}, 0, 0
	if !failed {
		o.failed, o.shun = 0, 0
		return false
	}
	if o.failed++; o.failed < pledgeDoubts {
		return false
	}
	o.shun = min(max(pledgeShun, 2*o.shun), pledgeShunMax)
	o.shunned = now.Add(o.shun)
	return true
}

// standing says how many transactions of a peer may be waited for, and whether it is doubted.
func (p *pledges) standing(id peer.ID) (most int, doubted bool) {
	one := p.peers[id]
	if one == nil {
		return pledgeCredit, false
	}
	return one.credit, one.credit < pledgeDoubt
}

// shuns says whether a peer is to be left alone.
func (p *pledges) shuns(now time.Time, id peer.ID) bool {
	one := p.peers[id]
	return one != nil && now.Before(one.shunned)
}

// prune forgets peers that are gone, after a while.
func (p *pledges) prune(now time.Time, here func(id peer.ID) bool) {
	for id, one := range p.peers {
		if !here(id) && now.Sub(one.last) >= pledgeMemory {
			delete(p.peers, id)
		}
	}
}
