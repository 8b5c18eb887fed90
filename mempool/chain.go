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
	floor float64 // lowest rate from the start of the chain up to here
	ends  uint64  // the earliest expiry from there up to here, math.MaxUint64 for none
	size  uint32  // of tx as carried; the transaction itself lies elsewhere
	chain uint32  // whose it is

	source uint32 // who brought it
}

func newEntry(tx validation.CheckedTx) entry { return entry{tx: tx, size: uint32(tx.Size())} }

func (e *entry) id() wire.TxID        { return e.tx.ID() }
func (e *entry) sender() wire.Address { return e.tx.Terms().Sender }
func (e *entry) nonce() uint64        { return e.tx.Terms().Nonce }

func (e *entry) rate() float64 { return feeRate(e.tx.Terms().Fee, int(e.size)) }

// feeRate is the fee per byte. Division rounds the same on every machine.
func feeRate(fee uint64, size int) float64 { return float64(fee) / float64(size) }

// chain is what one sender has in the pool: never nothing, but within a call.
type chain struct {
	account Account  // as last told
	spends  uint64   // of all together; at most account.Balance
	txs     []uint32 // entries by nonce, none below account.Nonce
	ready   uint32   // how many of them, from the first, are executable
}

// next is the first nonce that is missing.
func (c *chain) next() uint64 { return c.account.Nonce + uint64(c.ready) }

func (c *chain) waiting() int { return len(c.txs) - int(c.ready) }

// waits says whether a nonce before this one, which is the chain's, is missing.
func (c *chain) waits(nonce uint64) bool { return nonce-c.account.Nonce >= uint64(c.ready) }

// find returns where in the chain the nonce is or belongs.
func (p *Pool) find(c *chain, nonce uint64) (i int, found bool) {
	// The executable part has no gaps, so that the look-up is a subtraction.
	if past := nonce - c.account.Nonce; nonce >= c.account.Nonce && past < uint64(c.ready) {
		return int(past), true
	}
	return slices.BinarySearchFunc(c.txs, nonce, func(n uint32, nonce uint64) int {
		return cmp.Compare(p.entries.at(n).nonce(), nonce)
	})
}

// last returns the last entry of a chain, and its number.
func (p *Pool) last(c *chain) (*entry, uint32) {
	n := c.txs[len(c.txs)-1]
	return p.entries.at(n), n
}

// refresh puts the chain's own figures, and the places of those that wait, right
// after a change of its account or of its transactions from index i on.
func (p *Pool) refresh(c *chain, i int) {
	inPlace := func(i uint32) bool { return p.entries.at(c.txs[i]).nonce() == c.account.Nonce+uint64(i) }
	c.ready = min(c.ready, uint32(len(c.txs)))
	for c.ready > 0 && !inPlace(c.ready-1) {
		c.ready-- // nonces ascend strictly: where one is in its place, all before it are
	}
	for int(c.ready) < len(c.txs) && inPlace(c.ready) {
		c.ready++
	}
	floor, ends := math.Inf(1), uint64(math.MaxUint64)
	if i > 0 {
		before := p.entries.at(c.txs[i-1])
		floor, ends = before.floor, before.ends
	}
	for ; i < len(c.txs); i++ { // those before it are what they were: a change of the account is one from 0 on
		n := c.txs[i]
		e := p.entries.at(n)
		floor = min(floor, e.rate())
		if at := e.tx.Terms().ExpiresAt; at != 0 {
			ends = min(ends, at)
		}
		e.floor, e.ends = floor, ends
		if i < int(c.ready) {
			p.waits.remove(n, e)
		} else {
			p.waits.put(n, e)
		}
	}
}

// worse orders places, the worst first.
func (p *Pool) worse(a, b place) bool {
	if a.rank != b.rank {
		return a.rank < b.rank
	}
	if a.entry == b.entry {
		return false
	}
	// Of equals the lower id is the better one, wherever it is asked.
	aid, bid := p.entries.at(a.entry).id(), p.entries.at(b.entry).id()
	return bytes.Compare(aid[:], bid[:]) > 0
}

// deeper orders the places of waiting ones: of those that are worth the same the
// one that needs most others comes first.
func (p *Pool) deeper(a, b place) bool {
	if x, y := p.entries.at(a.entry).nonce(), p.entries.at(b.entry).nonce(); a.rank == b.rank && x != y {
		return x > y
	}
	return p.worse(a, b)
}

func (p *Pool) better(a, b place) bool { return p.worse(b, a) }

// rankOf makes a rank of a rate: floats that are not negative are ordered as
// their bits are.
func rankOf(rate float64) uint64 { return math.Float64bits(rate) }

// rate is the rate by which the place was ranked.
func (p place) rate() float64 { return math.Float64frombits(p.rank) }
