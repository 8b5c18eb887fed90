package mempool

import (
	"container/heap"
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
		size := e.tx.Size()
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

// Estimate returns the least fee per byte with which a transaction of a sender
// who has none in the pool comes to lie among the best aheadBytes bytes of it:
// with the size of a block, the price of the next block, as far as the pool
// knows. It is 0 where the pool has no more than that, so the caller applies
// the floor of genesis.
func (p *Pool) Estimate(aheadBytes int) uint64 {
	rate, ahead := 0.0, 0
	p.bestFirst(func(e *entry) step {
		if ahead += e.tx.Size(); ahead > aheadBytes {
			rate = above(e.floor)
			return stop
		}
		return follow
	})
	return wholeRate(rate)
}

// FeeRateToEnter returns the least fee per byte with which an executable
// transaction, however large, of a sender who has none in the pool is sure to
// find room now: 0 while there is room anyway.
func (p *Pool) FeeRateToEnter() uint64 {
	rate, count, bytes := 0.0, 1, wire.MaxTx
	p.tails.Scan(func(t place) bool {
		if !p.over(count, bytes) {
			return false
		}
		if t.executable() {
			rate = above(t.rate())
		}
		count--
		bytes -= t.entry.tx.Size()
		return true
	})
	if best, ok := p.heads.Max(); ok && p.over(count, bytes) {
		rate = above(best.rate()) // the last of each chain are not enough
	}
	return wholeRate(rate)
}

// above is the next whole fee per byte over a rate.
func above(rate float64) float64 { return math.Floor(rate) + 1 }

func wholeRate(rate float64) uint64 {
	if rate >= math.MaxUint64 {
		return math.MaxUint64
	}
	return uint64(rate)
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
	heads := p.heads.Iter()
	defer heads.Release()
	more := heads.Last()
	var next followers
	for more || len(next) > 0 {
		var e *entry
		if len(next) == 0 || more && next[0].before(heads.Item()) {
			e = heads.Item().entry
			more = heads.Prev()
		} else {
			e = heap.Pop(&next).(place).entry
		}
		switch visit(e) {
		case stop:
			return
		case follow:
			if i := int(e.nonce()-e.chain.account.Nonce) + 1; i < e.chain.ready {
				after := e.chain.txs[i]
				heap.Push(&next, place{rankOf(after.rate, false), after})
			}
		case skip:
		}
	}
}

// followers is a heap of transactions whose predecessors were visited, best
// first.
type followers []place

func (f followers) Len() int           { return len(f) }
func (f followers) Less(i, j int) bool { return f[j].before(f[i]) }
func (f followers) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *followers) Push(x any)        { *f = append(*f, x.(place)) }
func (f *followers) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}
