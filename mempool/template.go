package mempool

import (
	"math"
	"time"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// maxMisses is how many transactions in a row may be too large for what is
// left of a block before filling it ends. Without a bound a pool of large ones
// would be walked whole for the last bytes of every block.
const maxMisses = 500

// Template picks the transactions for a block with the given time: executable
// ones only, each sender's in the order of nonces, and of what can come next
// always the one that pays most per byte. Their sizes add up to at most
// maxBytes, their number is at most maxCount. Pools with the same transactions
// and accounts give the same template. It takes time in proportion to what it
// returns, not to the pool.
func (p *Pool) Template(now time.Time, maxBytes, maxCount int) []validation.CheckedTx {
	var picked []validation.CheckedTx
	millis, left, misses := validation.UnixMillis(now), maxBytes, 0
	if maxCount <= 0 {
		return nil
	}
	p.bestFirst(func(e *entry) step {
		size := int(e.size)
		switch {
		case e.tx.Terms().ExpiredAt(millis):
			return skip
		case size > left:
			misses++
			if misses == maxMisses || left < wire.MinTx {
				return stop
			}
			return skip
		}
		misses = 0
		left -= size
		picked = append(picked, e.tx)
		if len(picked) == maxCount {
			return stop
		}
		return follow
	})
	return picked
}

// FeeRateToEnter returns the least fee per byte with which an executable
// transaction, however large, of a sender who has none in the pool is sure to
// find room now: the fee floor while there is room anyway, 0 if there is none.
func (p *Pool) FeeRateToEnter() uint64 {
	rate, count, bytes := p.floor.rate, 1-p.waiting(), wire.MaxTx-p.waits.bytes // those that wait leave first
	for tails := p.tails.walk(); p.over(count, bytes); {
		t, ok := tails.peek()
		if !ok {
			break
		}
		tails.skip()
		rate = max(rate, above(t.rate()))
		count--
		bytes -= int(p.entries.at(t.entry).size)
	}
	if best, ok := p.heads.first(); ok && p.over(count, bytes) {
		rate = max(rate, above(best.rate())) // the last of each chain are not enough
	}
	return wholeRate(rate)
}

// above is the next whole fee per byte over a rate.
func above(rate float64) float64 { return math.Floor(rate) + 1 }

// wholeRate rounds up, so that who pays it pays the rate.
func wholeRate(rate float64) uint64 {
	if rate = math.Ceil(rate); rate < math.MaxUint64 {
		return uint64(rate)
	}
	return math.MaxUint64
}

// step is what a visitor of bestFirst wants next.
type step uint8

const (
	follow step = iota // what comes after this one in its chain may come
	skip               // nothing more of its chain
	stop
)

// bestFirst visits executable transactions, of those that can come next always
// the best.
func (p *Pool) bestFirst(visit func(*entry) step) {
	heads := p.heads.walk()
	next := newRanking(p.better) // of chains whose head was visited, by what follows in them
	for {
		at, ok := heads.peek()
		if follower, some := next.first(); some && (!ok || p.better(follower, at)) {
			at, ok = follower, true
			next.remove(at.owner)
		} else if ok {
			heads.skip()
		}
		if !ok {
			return
		}
		e := p.entries.at(at.entry)
		switch visit(e) {
		case stop:
			return
		case follow:
			c := p.chains.at(at.owner)
			if i := e.nonce() - c.account.Nonce + 1; i < uint64(c.ready) {
				after := c.txs[i]
				next.set(place{rank: rankOf(p.entries.at(after).rate()), entry: after, owner: at.owner})
			}
		case skip:
		}
	}
}
