package mempool

import (
	"bytes"
	"cmp"
	"iter"
	"slices"

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
	// 0 if there is none.
	MinFeeRate, MaxFeeRate float64

	// FeeFloor is the fee per byte below which nothing enters: it rose with what
	// was evicted, and sinks with time.
	FeeFloor float64
}

// Stats sums up the pool.
func (p *Pool) Stats() Stats {
	s := Stats{
		Count:      p.Len(),
		Bytes:      p.bytes,
		Executable: p.ready,
		Waiting:    p.waiting(),
		Senders:    p.bySender.count,
		FeeFloor:   p.floor.rate,
	}
	if best, ok := p.heads.first(); ok {
		s.MaxFeeRate = best.rate()
	}
	if worst, ok := p.tails.first(); ok {
		s.MinFeeRate = worst.rate()
	}
	return s
}

// Len is the number of transactions.
func (p *Pool) Len() int { return p.byID.count }

// Bytes is the sum of their sizes as carried.
func (p *Pool) Bytes() int { return p.bytes }

// Has says whether the transaction is in the pool.
func (p *Pool) Has(id wire.TxID) bool {
	_, ok := p.byID.find(id)
	return ok
}

// Get returns the transaction, if it is in the pool.
func (p *Pool) Get(id wire.TxID) (validation.CheckedTx, bool) {
	n, ok := p.byID.find(id)
	if !ok {
		return validation.CheckedTx{}, false
	}
	return p.entries.at(n).tx, true
}

// Executable says whether the transaction is in the pool and could be in the
// next block.
func (p *Pool) Executable(id wire.TxID) bool {
	n, ok := p.byID.find(id)
	if !ok {
		return false
	}
	e := p.entries.at(n)
	return !p.chains.at(e.chain).waits(e.nonce())
}

// Displaces returns the transaction that would leave as [Displaced] if what is claimed entered
// now, given that the pool was told of its sender's account.
func (p *Pool) Displaces(claim validation.Claim) (last validation.CheckedTx, ok bool) {
	n, known := p.bySender.find(claim.Terms.Sender)
	if !known {
		return validation.CheckedTx{}, false
	}
	c := p.chains.at(n)
	i, taken := p.find(c, claim.Terms.Nonce)
	if taken || i == len(c.txs) || len(c.txs) < p.config.MaxPerSender {
		return validation.CheckedTx{}, false
	}
	e, _ := p.last(c)
	return e.tx, true
}

// NextNonce is the first nonce from the confirmed one on that none of the
// sender's pooled transactions has: what a wallet should use next.
func (p *Pool) NextNonce(a wire.Address, confirmed uint64) uint64 {
	n, ok := p.bySender.find(a)
	if !ok {
		return confirmed
	}
	c := p.chains.at(n)
	if c.account.Nonce == confirmed {
		return c.next()
	}
	next := confirmed
	for _, n := range c.txs {
		if p.entries.at(n).nonce() == next {
			next++
		}
	}
	return next
}

// BySender returns the sender's transactions in the order of nonces.
func (p *Pool) BySender(a wire.Address) []validation.CheckedTx {
	n, ok := p.bySender.find(a)
	if !ok {
		return nil
	}
	c := p.chains.at(n)
	txs := make([]validation.CheckedTx, len(c.txs))
	for i, n := range c.txs {
		txs[i] = p.entries.at(n).tx
	}
	return txs
}

// All yields every transaction, a sender's in the order of nonces, so that
// adding them to another pool in this order makes nothing wait that did not
// before. Senders none of whose transactions wait come first, of these the one who pays best
// in the end. The pool must
// not change before the first is yielded.
func (p *Pool) All() iter.Seq[validation.CheckedTx] {
	return func(yield func(validation.CheckedTx) bool) { p.List().All()(yield) }
}

// List is a copy of what a pool held at one moment. Who holds a lock on the pool needs it for
// the copy only.
type List struct {
	chains []listed
	txs    []validation.CheckedTx
}

// listed is a chain in a List.
type listed struct {
	stuck     bool
	rank      uint64 // of the last of it
	from, end int    // in txs
}

// List copies all that the pool holds, in time linear in it. It changes nothing of it.
func (p *Pool) List() List {
	l := List{chains: make([]listed, 0, p.bySender.count), txs: make([]validation.CheckedTx, 0, p.Len())}
	for n := range p.chains.used {
		c := p.chains.at(n)
		if len(c.txs) == 0 {
			continue
		}
		from := len(l.txs)
		for _, n := range c.txs {
			l.txs = append(l.txs, p.entries.at(n).tx)
		}
		last, _ := p.last(c)
		l.chains = append(l.chains, listed{c.waiting() > 0, rankOf(last.floor), from, len(l.txs)})
	}
	return l
}

// All yields what [Pool.All] of the pool would have. It sorts the senders.
func (l List) All() iter.Seq[validation.CheckedTx] {
	slices.SortFunc(l.chains, func(a, b listed) int {
		if a.stuck != b.stuck {
			if b.stuck {
				return -1
			}
			return 1
		}
		if c := cmp.Compare(b.rank, a.rank); c != 0 {
			return c
		}
		x, y := l.txs[a.end-1].ID(), l.txs[b.end-1].ID()
		return bytes.Compare(x[:], y[:])
	})
	return func(yield func(validation.CheckedTx) bool) {
		for _, c := range l.chains {
			for _, tx := range l.txs[c.from:c.end] {
				if !yield(tx) {
					return
				}
			}
		}
	}
}
