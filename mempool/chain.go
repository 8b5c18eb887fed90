package mempool

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// entry is one pooled transaction.
type entry struct {
	tx    validation.CheckedTx
	chain *chain
	rate  float64 // fee per byte; division rounds the same on every machine
	floor float64 // lowest rate from the start of the chain up to here
}

func newEntry(tx validation.CheckedTx, c *chain) *entry {
	return &entry{tx: tx, chain: c, rate: float64(tx.Terms().Fee) / float64(tx.Size())}
}

func (e *entry) id() wire.TxID { return e.tx.ID() }
func (e *entry) nonce() uint64 { return e.tx.Terms().Nonce }

// waiting says whether a nonce before this one is missing.
func (e *entry) waiting() bool {
	return e.nonce()-e.chain.account.Nonce >= uint64(e.chain.ready)
}

// chain is what one sender has in the pool. It is never empty while it is in
// Pool.chains.
type chain struct {
	account Account  // as last told
	txs     []*entry // by nonce, none below account.Nonce
	ready   int      // how many of them, from the first, are executable
	spends  uint64   // of all together; at most account.Balance
}

// find returns where the nonce is or belongs.
func (c *chain) find(nonce uint64) (i int, found bool) {
	// The executable part has no gaps, so that the look-up is a subtraction.
	if past := nonce - c.account.Nonce; nonce >= c.account.Nonce && past < uint64(c.ready) {
		return int(past), true
	}
	return slices.BinarySearchFunc(c.txs, nonce, func(e *entry, nonce uint64) int {
		return cmp.Compare(e.nonce(), nonce)
	})
}

// next is the first nonce that is missing.
func (c *chain) next() uint64 { return c.account.Nonce + uint64(c.ready) }

func (c *chain) last() *entry { return c.txs[len(c.txs)-1] }

// refresh puts the chain's own figures right after a change of its account or
// of its transactions from index i on.
func (c *chain) refresh(i int) {
	for ; i < len(c.txs); i++ {
		e := c.txs[i]
		e.floor = e.rate
		if i > 0 {
			e.floor = min(e.rate, c.txs[i-1].floor)
		}
	}
	c.ready = min(c.ready, len(c.txs))
	for c.ready > 0 && c.txs[c.ready-1].nonce() != c.account.Nonce+uint64(c.ready-1) {
		c.ready-- // nonces ascend strictly: where one is in its place, all before it are
	}
	for c.ready < len(c.txs) && c.txs[c.ready].nonce() == c.next() {
		c.ready++
	}
}

// place is an entry's position in an index, lowest first. It is a value that
// stays what it was while the entry and its chain change, so that it can be
// found again.
type place struct {
	rank  uint64
	entry *entry
}

func (p place) compare(q place) int {
	if p.rank != q.rank {
		return cmp.Compare(p.rank, q.rank)
	}
	// Of equals the lower id is the better one, wherever it is asked.
	pid, qid := p.entry.id(), q.entry.id()
	return bytes.Compare(qid[:], pid[:])
}

func (p place) before(q place) bool { return p.compare(q) < 0 }

// executableRank sets the executable apart from the waiting in the order of
// ranks. It is the sign bit of the rates, which are never negative; and floats
// without sign are ordered as their bits are.
const executableRank = 1 << 63

func rankOf(rate float64, waiting bool) uint64 {
	if waiting {
		return math.Float64bits(rate)
	}
	return math.Float64bits(rate) | executableRank
}

// executable says whether the place, in an index by rate, is that of an
// executable transaction.
func (p place) executable() bool { return p.rank&executableRank != 0 }

// rate is the rate by which the place was ranked.
func (p place) rate() float64 { return math.Float64frombits(p.rank &^ executableRank) }

// places are where the pool's indexes hold a chain; the zero place is nowhere.
type places struct{ tail, head place }

func (c *chain) places() (at places) {
	if len(c.txs) > 0 {
		at.tail = place{rankOf(c.last().floor, c.last().waiting()), c.last()}
	}
	if c.ready > 0 {
		at.head = place{rankOf(c.txs[0].rate, false), c.txs[0]}
	}
	return at
}
