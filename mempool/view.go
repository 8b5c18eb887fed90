package mempool

import (
	"iter"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Stats sums up a pool.
type Stats struct {
	Count      int
	Bytes      int // sizes as carried
	Executable int
	Waiting    int // behind a nonce that is missing
	Senders    int

	// MaxFeeRate is the fee per byte of the best that could be confirmed next,
	// MinFeeRate the floor of the executable one that would be evicted first;
	// 0 if there is none. Chains that end in waiting transactions do not count
	// for the latter, since those would leave before.
	MinFeeRate, MaxFeeRate float64
}

// Stats sums up the pool.
func (p *Pool) Stats() Stats {
	s := Stats{
		Count:      len(p.byID),
		Bytes:      p.bytes,
		Executable: p.ready,
		Waiting:    p.waiting(),
		Senders:    len(p.chains),
	}
	if best, ok := p.heads.Max(); ok {
		s.MaxFeeRate = best.rate()
	}
	p.tails.Ascend(place{rank: executableRank - 1}, func(t place) bool {
		s.MinFeeRate = t.rate()
		return false
	})
	return s
}

// Len is the number of transactions.
func (p *Pool) Len() int { return len(p.byID) }

// Bytes is the sum of their sizes as carried.
func (p *Pool) Bytes() int { return p.bytes }

// Has says whether the transaction is in the pool.
func (p *Pool) Has(id wire.TxID) bool { return p.byID[id] != nil }

// Get returns the transaction, if it is in the pool.
func (p *Pool) Get(id wire.TxID) (validation.CheckedTx, bool) {
	e := p.byID[id]
	if e == nil {
		return validation.CheckedTx{}, false
	}
	return e.tx, true
}

// Executable says whether the transaction is in the pool and could be in the
// next block.
func (p *Pool) Executable(id wire.TxID) bool {
	e := p.byID[id]
	return e != nil && !e.waiting()
}

// NextNonce is the first nonce from the confirmed one on that none of the
// sender's pooled transactions has: what a wallet should use next.
func (p *Pool) NextNonce(a wire.Address, confirmed uint64) uint64 {
	c := p.chains[a]
	if c == nil {
		return confirmed
	}
	if c.account.Nonce == confirmed {
		return c.next()
	}
	next := confirmed
	for _, e := range c.txs {
		if e.nonce() == next {
			next++
		}
	}
	return next
}

// BySender returns the sender's transactions in the order of nonces.
func (p *Pool) BySender(a wire.Address) []validation.CheckedTx {
	c := p.chains[a]
	if c == nil {
		return nil
	}
	txs := make([]validation.CheckedTx, len(c.txs))
	for i, e := range c.txs {
		txs[i] = e.tx
	}
	return txs
}

// All yields every transaction, a sender's in the order of nonces, so that
// adding them to another pool in this order makes nothing wait that did not
// before. The senders who would be evicted from last come first. The pool must
// not change meanwhile.
func (p *Pool) All() iter.Seq[validation.CheckedTx] {
	return func(yield func(validation.CheckedTx) bool) {
		p.tails.Reverse(func(t place) bool {
			for _, e := range t.entry.chain.txs {
				if !yield(e.tx) {
					return false
				}
			}
			return true
		})
	}
}
