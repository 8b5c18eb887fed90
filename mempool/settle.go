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
// leaves, and so does what became stale or unaffordable, and what Expire would
// remove; the last transactions of a chain go first where it cannot be paid whole.
//
// After a reorganisation an account's nonce may be lower than before. What the
// sender has in the pool then waits until the caller has returned the
// transactions of the lost blocks ([Pool.Return]).
func (p *Pool) Settle(now time.Time, accounts []Touched, included []wire.TxID) Change {
	var change Change
	inBlock := make(map[wire.TxID]bool, len(included))
	for _, id := range included {
		inBlock[id] = true
	}
	for _, t := range accounts {
		if n, ok := p.bySender.find(t.Address); ok {
			p.settle(n, t.Account, inBlock, &change)
		}
	}
	for _, id := range included { // those whose account did not say so
		if n, ok := p.byID.find(id); ok {
			change.removed(p.remove(n).tx, Included, wire.TxID{})
		}
	}
	p.expire(now, &change)
	p.floor = p.sunkFloor(now)
	return change
}

// Expire removes transactions whose time is over, the oldest first, and says whether there may
// be more of them. What follows them in their chains waits.
func (p *Pool) Expire(now time.Time) (change Change, more bool) {
	more = p.expire(now, &change)
	p.floor = p.sunkFloor(now)
	return change, more
}

// settle gives the chain n its account anew and removes what does not fit it.
func (p *Pool) settle(n uint32, account Account, included map[wire.TxID]bool, change *Change) {
	c := p.chains.at(n)
	c.account = account
	first := p.entries.at(c.txs[0])
	sender := first.sender()

	stale := 0
	for stale < len(c.txs) && p.entries.at(c.txs[stale]).nonce() < account.Nonce {
		stale++
	}
	paid, spends := stale, uint64(0) // from the start, how many the account can pay
	for ; paid < len(c.txs); paid++ {
		spends += p.entries.at(c.txs[paid]).tx.Terms().Spends // no overflow: their sum was affordable before
		if spends > account.Balance {
			break
		}
	}
	var left []uint32
	leave := func(e uint32, why Reason) {
		tx := p.entries.at(e).tx
		p.unlist(e)
		left = append(left, e)
		change.removed(tx, why, wire.TxID{})
	}
	for _, e := range c.txs[:stale] {
		if included[p.entries.at(e).id()] {
			leave(e, Included)
		} else {
			leave(e, Invalid)
		}
	}
	for _, e := range slices.Backward(c.txs[paid:]) {
		leave(e, Invalid)
	}
	c.txs = slices.Delete(c.txs[:paid], 0, stale)
	p.reindex(n, 0, sender)
	for _, e := range left {
		p.give(e)
	}
}

// expire walks each chain once, however many of its transactions are too old.
func (p *Pool) expire(now time.Time, change *Change) (more bool) {
	millis := validation.UnixMillis(now)
	var left, shortened []uint32
	seen := make(map[uint32]bool)
	leaves := make(map[uint32]bool)
	for !more {
		first, ok := p.expiry.first()
		if !ok || !p.entries.at(first.entry).tx.Terms().ExpiredAt(millis) {
			break
		}
		e := p.entries.at(first.entry)
		if !seen[e.chain] {
			seen[e.chain] = true
			shortened = append(shortened, e.chain)
		}
		p.unlist(first.entry)
		left = append(left, first.entry)
		leaves[first.entry] = true
		change.removed(e.tx, Expired, wire.TxID{})
		more = len(left) == p.config.MaxSweep
	}
	for _, n := range shortened {
		c := p.chains.at(n)
		sender := p.entries.at(c.txs[0]).sender()
		c.txs = slices.DeleteFunc(c.txs, func(e uint32) bool { return leaves[e] })
		p.reindex(n, 0, sender)
	}
	for _, n := range left {
		p.give(n)
	}
	return more
}
