package mempool

import (
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Touched is an account that a change of the head changed, as it is now.
type Touched struct {
	Address wire.Address
	Account Account
}

// Settle follows a change of the head. The accounts are all that the change
// touched, among them the senders of the included transactions; included are
// the transactions of all blocks that joined the best chain. What is included
// leaves, and so does what became stale, unaffordable or too old; the last
// transactions of a chain go first where it cannot be paid whole.
//
// After a reorganisation an account's nonce may be lower than before. What the
// sender has in the pool then waits until the caller has added the
// transactions of the lost blocks again.
func (p *Pool) Settle(now time.Time, accounts []Touched, included []wire.TxID) Change {
	var change Change
	inBlock := make(map[wire.TxID]bool, len(included))
	for _, id := range included {
		inBlock[id] = true
	}
	for _, t := range accounts {
		if c := p.chains[t.Address]; c != nil {
			p.settle(c, t.Account, inBlock, &change)
		}
	}
	for _, id := range included { // those whose account did not say so
		if e := p.byID[id]; e != nil {
			p.remove(e)
			change.removed(e, Included, wire.TxID{})
		}
	}
	p.expire(now, &change)
	return change
}

// Expire removes the transactions whose time is over. What follows them in
// their chains waits.
func (p *Pool) Expire(now time.Time) Change {
	var change Change
	p.expire(now, &change)
	return change
}

// settle gives a chain its account anew and removes what does not fit it.
func (p *Pool) settle(c *chain, account Account, included map[wire.TxID]bool, change *Change) {
	was := c.places()
	c.account = account
	stale := 0
	for stale < len(c.txs) && c.txs[stale].nonce() < account.Nonce {
		e := c.txs[stale]
		p.unlist(e)
		why := Invalid
		if included[e.id()] {
			why = Included
		}
		change.removed(e, why, wire.TxID{})
		stale++
	}
	c.txs = slices.Delete(c.txs, 0, stale)
	for c.spends > account.Balance {
		e := c.last()
		p.unlist(e)
		c.txs = slices.Delete(c.txs, len(c.txs)-1, len(c.txs))
		change.removed(e, Invalid, wire.TxID{})
	}
	p.reindex(c, 0, was)
}

// expire walks each chain once, however many of its transactions are too old.
func (p *Pool) expire(now time.Time, change *Change) {
	millis := validation.UnixMillis(now)
	type shortened struct {
		chain *chain
		was   places
	}
	var chains []shortened
	seen := make(map[*chain]bool)
	for {
		first, ok := p.expiry.Min()
		if !ok || !first.entry.tx.Terms().ExpiredAt(millis) {
			break
		}
		e := first.entry
		if !seen[e.chain] {
			seen[e.chain] = true
			chains = append(chains, shortened{e.chain, e.chain.places()})
		}
		p.unlist(e)
		change.removed(e, Expired, wire.TxID{})
	}
	for _, s := range chains {
		s.chain.txs = slices.DeleteFunc(s.chain.txs, func(e *entry) bool { return e.tx.Terms().ExpiredAt(millis) })
		p.reindex(s.chain, 0, s.was)
	}
}
