package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// AddTx implements overlay.Pool.
//
// One of this node's own, which the overlay published at last, ends where the
// pool does not take it.
func (c *chain) AddTx(_ context.Context, tx validation.CheckedTx, from peerscore.PeerID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.addOwnLocked(tx, mempool.Source(from))
	if from == "" {
		c.refusedLocked(tx, err)
	}
	if err != nil && !errors.Is(err, validation.AlreadyKnown) {
		c.recent.Add(tx.Clone())
	}
	return err
}

// refusedLocked ends a transaction of this node's own that the pool does not take, or not
// back; err is what it said, nil if it took it.
func (c *chain) refusedLocked(tx validation.CheckedTx, err error) {
	id := tx.ID()
	if err == nil || !c.locals.live(id) || c.pool.Has(id) {
		return
	}
	c.lapsedLocked(tx, err)
	if end := c.locals.ended(id); end != "" {
		c.watch.ended(tx, end)
	}
}

// lapsedLocked ends a local transaction that the pool refused, or has it wait beside the pool.
func (c *chain) lapsedLocked(tx validation.CheckedTx, refusal error) {
	var rival wire.TxID
	for _, other := range c.pool.BySender(tx.Terms().Sender) {
		if other.Terms().Nonce == tx.Terms().Nonce {
			rival = other.ID()
		}
	}
	c.locals.lapsed(tx, refusal, c.ledger.Head().Height, rival)
}

// lapse ends a transaction of this node's own whose time is over and that is not pooled.
func (c *chain) lapse(tx validation.CheckedTx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refusedLocked(tx, validation.Expired)
}

// retryEarly gives the pool local transactions again that it did not take, or keep, because
// of others of their sender. Those before them may have been missing: a node that was killed
// has its own on disk, and gets what others submitted elsewhere from its peers. Or they were
// too many: a rollback gives back more than there is room for. Or the store was damaged, and
// the chain is being fetched again.
func (c *chain) retryEarly() {
	txs := c.locals.waiting()
	if len(txs) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var stuck wire.Address // whose others, with higher nonces, wait for the same
	now, behind := validation.UnixMillis(c.now()), c.behindRescueLocked()
	for _, tx := range txs {
		if tx.Terms().ExpiredAt(now) {
			c.refusedLocked(tx, validation.Expired)
			continue
		}
		if tx.Terms().Sender == stuck || behind {
			continue
		}
		err := c.addOwnLocked(tx, keptSource)
		if waits(err) {
			stuck = tx.Terms().Sender
			continue
		}
		c.refusedLocked(tx, err)
	}
}

// GlanceTxs implements overlay.TxGlancer.
func (c *chain) GlanceTxs(claims []validation.Claim) []error {
	errs := make([]error, len(claims))
	now := c.now()
	c.mu.RLock()
	defer c.mu.RUnlock()
	for i, claim := range claims {
		errs[i] = c.pool.Glance(now, claim, poolAccount(c.ledger.Account(claim.Terms.Sender)))
	}
	return errs
}

// keptSource is the source of what no peer brought that is known: it was in the snapshot, or in
// a block that was lost.
const keptSource mempool.Source = "kept"

// sourceLocked says on whose account tx waits. from is empty where no peer brought it.
func (c *chain) sourceLocked(tx validation.CheckedTx, from mempool.Source) mempool.Source {
	switch {
	case c.locals.live(tx.ID()):
		return mempool.Own
	case from == "":
		return keptSource
	default:
		return from
	}
}

// addLocked gives tx to the pool, unless it pushes out what was accepted here and has no place
// beside the pool either.
func (c *chain) addLocked(tx validation.CheckedTx, from mempool.Source) error {
	if last, ok := c.pool.Displaces(tx.Claim()); ok && c.locals.crowded(last) {
		return fmt.Errorf("%w: too many of those that were accepted wait for room already", mempool.ErrSenderFull)
	}
	account := c.ledger.Account(tx.Terms().Sender)
	change, err := c.pool.Add(c.now(), tx, poolAccount(account), c.sourceLocked(tx, from))
	c.poolChangedLocked(change)
	return err
}

// addOwnLocked is addLocked for what may have been accepted here before: what its sender spends
// in later transactions is not held against that, as those are worth nothing without it, nor
// how soon it expires, as a block may take it until then.
func (c *chain) addOwnLocked(tx validation.CheckedTx, from mempool.Source) error {
	err := c.addLocked(tx, from)
	if !errors.Is(err, validation.Overdraft) && !errors.Is(err, validation.Expired) || !c.locals.live(tx.ID()) {
		return c.ownRefusalLocked(tx, err)
	}
	if err := c.returnLocked(tx); err != nil {
		return err
	}
	c.trimLocked()
	if !c.pool.Has(tx.ID()) {
		return c.ownRefusalLocked(tx, fmt.Errorf("%w: others pay more", validation.PoolFull))
	}
	return nil
}

// trimLocked removes what there is no room for since something was returned.
func (c *chain) trimLocked() {
	for more := true; more; {
		more = c.trimSomeLocked()
	}
}

func (c *chain) trimSomeLocked() (more bool) {
	change, more := c.pool.Trim(c.now())
	c.poolChangedLocked(change)
	return more
}

// returnLocked gives back to the pool what a lost block had taken. The caller trims.
func (c *chain) returnLocked(tx validation.CheckedTx) error {
	account := c.ledger.Account(tx.Terms().Sender)
	change, err := c.pool.Return(c.now(), tx, poolAccount(account), c.sourceLocked(tx, ""))
	c.poolChangedLocked(change)
	return c.ownRefusalLocked(tx, err)
}

func poolAccount(a ledger.Account) mempool.Account {
	return mempool.Account{Nonce: a.Nonce, Balance: a.Balance}
}

func (c *chain) poolChangedLocked(change mempool.Change) {
	if len(change.Added)+len(change.Removed) == 0 {
		return
	}
	c.locals.pooled(change, c.ledger.Head().Height)
	c.watch.poolChanged(change, c.pool)
	for _, r := range change.Removed {
		c.recent.Add(r.Tx)
	}
	if c.follow == nil {
		return
	}
	removed := make([]wire.TxID, len(change.Removed))
	for i, r := range change.Removed {
		removed[i] = r.ID
	}
	c.follow(change.Added, removed)
}

// expire removes the transactions whose time is over.
func (c *chain) expire() {
	for more := true; more; {
		more = c.expireSome()
	}
}

// expireSome removes as many as may hold up others who want the pool.
func (c *chain) expireSome() (more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change, more := c.pool.Expire(c.now())
	c.poolChangedLocked(change)
	return more
}
