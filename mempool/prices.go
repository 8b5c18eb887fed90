package mempool

import (
	"cmp"
	"slices"
)

// Prices is a copy of what the executable transactions of a pool paid at one moment. Who holds
// a lock on the pool needs it for the copy only.
type Prices struct {
	floor float64
	paid  []paid
}

type paid struct {
	rate float64 // with which it comes into a block: its own, or a lower one before it
	size uint32
}

// Prices copies what is paid, in time linear in the pool. It changes nothing of it.
func (p *Pool) Prices() Prices {
	prices := Prices{floor: p.floor.rate, paid: make([]paid, 0, p.ready)}
	for _, t := range p.tails.heap {
		c := p.chains.at(t.owner)
		for _, n := range c.txs[:c.ready] {
			e := p.entries.at(n)
			prices.paid = append(prices.paid, paid{e.floor, e.size})
		}
	}
	return prices
}

// Estimate returns the least fee per byte with which a transaction of a sender
// who had none in the pool came to lie among the best aheadBytes bytes of it:
// with the size of a block, the price of the next block, as far as the pool
// knew. Where the pool had no more than that it is the fee floor, which may be
// 0, so the caller applies the floor of genesis. There is one answer for each
// argument; these must ascend.
func (p Prices) Estimate(aheadBytes ...int) []uint64 {
	slices.SortFunc(p.paid, func(a, b paid) int { return cmp.Compare(b.rate, a.rate) })
	rates := make([]uint64, len(aheadBytes))
	ahead, i := 0, 0
	for k, most := range aheadBytes {
		for i < len(p.paid) && ahead+int(p.paid[i].size) <= most {
			ahead += int(p.paid[i].size)
			i++
		}
		rate := p.floor
		if i < len(p.paid) {
			rate = max(rate, above(p.paid[i].rate))
		}
		rates[k] = wholeRate(rate)
	}
	return rates
}
