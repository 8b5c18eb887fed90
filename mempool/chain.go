package mempool

import (
	"bytes"
	"cmp"
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

	// Where the pool's indexes hold this chain; see Pool.reindex.
	tail, head place
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

// place is an entry's position in an index: worst first. It keeps copies of
// what it is ordered by, so that it can be found again after they changed.
type place struct {
	executable bool
	rate       float64
	entry      *entry
}

func (p place) compare(q place) int {
	if p.executable != q.executable {
		if q.executable {
			return -1
		}
		return 1
	}
	if c := cmp.Compare(p.rate, q.rate); c != 0 {
		return c
	}
	// Of equals the lower id is the better one, wherever it is asked.
	pid, qid := p.entry.id(), q.entry.id()
	return -bytes.Compare(pid[:], qid[:])
}

func (p place) before(q place) bool { return p.compare(q) < 0 }
