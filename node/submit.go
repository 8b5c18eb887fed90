package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Submit implements api.Submitter.
//
// The order is: judge, pool, disk, announce, answer. The pool first, so that
// what it refuses costs no sync. The disk outside of the chain's lock, so that
// submissions at the same time share a sync. A crash before the disk has it
// loses what nobody was told; one after brings it back at the next start, from
// where it is announced again.
func (n *Node) Submit(ctx context.Context, raw []byte) (api.TxStatus, error) {
	if err := n.chain.unwritten(); err != nil {
		return api.TxStatus{}, storageError(err)
	}
	tx, err := n.chain.checker.Tx(ctx, n.cfg.Now(), raw)
	if err != nil {
		return n.known(raw, err)
	}
	if err := n.private.affords(tx); err != nil {
		return n.known(raw, err)
	}
	if err := n.chain.addLocal(tx); err != nil {
		return n.known(raw, err)
	}
	if err := n.keep(tx); err != nil {
		return api.TxStatus{}, err
	}
	return n.accepted(tx.ID())
}

// accepted is the answer for what is on disk, unless blocks are not whose accounts it may spend
// from.
func (n *Node) accepted(id wire.TxID) (api.TxStatus, error) {
	if err := n.chain.unwritten(); err != nil {
		return api.TxStatus{}, storageError(err)
	}
	return n.txStatus(id)
}

// known answers for a transaction that was refused: the same bytes may have
// been accepted before, and then the answer is what became of them. Peers or a
// block may have brought them, too; then they are accepted now.
func (n *Node) known(raw []byte, refusal error) (api.TxStatus, error) {
	tx, err := wire.DecodeTransaction(raw)
	if err != nil || validation.Judge(refusal) == validation.Reject {
		return api.TxStatus{}, refusal
	}
	status, err := n.txStatus(tx.ID())
	if err != nil {
		return api.TxStatus{}, err
	}
	// A disk that failed may show what it did not keep.
	if err := n.chain.unwritten(); err != nil {
		return api.TxStatus{}, storageError(err)
	}
	// An evicted one was worth another try, which failed: that is the answer.
	if status.State == api.Unknown || status.State == api.Evicted {
		return api.TxStatus{}, refusal
	}
	if status.State.Ended() || status.State == api.Final || n.chain.locals.keeps(tx.ID()) {
		return status, nil
	}
	return n.vouch(tx, refusal)
}

// vouch makes durable what only the pool or a block above the final one holds: a rollback and
// a restart would forget it, after its user was told that it is on its way.
func (n *Node) vouch(raw *wire.Transaction, refusal error) (api.TxStatus, error) {
	tx, err := n.chain.checker.StoredTx(raw)
	if err != nil {
		return api.TxStatus{}, err
	}
	if found, err := n.chain.adoptWhereItIs(tx); err != nil {
		return api.TxStatus{}, storageError(err)
	} else if !found {
		return api.TxStatus{}, refusal // it has gone meanwhile
	}
	if err := n.keep(tx); err != nil {
		return api.TxStatus{}, err
	}
	return n.accepted(tx.ID())
}

// keep writes a local transaction down, and has it announced unless a block holds it.
func (n *Node) keep(tx validation.CheckedTx) error {
	if err := n.chain.locals.write(tx, n.cfg.Now()); err != nil {
		n.chain.locals.disown(tx.ID())
		return storageError(err)
	}
	if n.chain.keptLocal(tx) && n.chain.locals.live(tx.ID()) && n.chain.locals.tell(tx.ID(), time.Now(), 0) {
		n.announcer.add(tx)
	}
	return nil
}

// addLocal gives the pool a transaction of a user of this node.
func (c *chain) addLocal(tx validation.CheckedTx) error {
	if err := c.adopt(tx); err != nil {
		return err
	}
	return c.poolAdopted(tx)
}

// poolAdopted gives the pool what is adopted, and takes that back where the pool refuses it.
func (c *chain) poolAdopted(tx validation.CheckedTx) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.addLocked(tx, mempool.Own)
	if errors.Is(err, validation.AlreadyKnown) && c.pool.Has(tx.ID()) {
		c.pool.Adopt(tx.ID())
		err = nil // a peer was quicker, but has not made it durable here
	}
	if err != nil {
		c.locals.disown(tx.ID())
		return err
	}
	c.locals.unhush(tx.ID()) // another call may have it as a private one
	return nil
}

// adopt makes a transaction of a user a local one, unless it was accepted before.
func (c *chain) adopt(tx validation.CheckedTx) error {
	if _, ok, err := c.txPlace(tx.ID()); err != nil {
		return storageError(err)
	} else if ok {
		return fmt.Errorf("%w: a block holds it", validation.AlreadyKnown)
	}
	if c.locals.keeps(tx.ID()) {
		return fmt.Errorf("%w: it was accepted before", validation.AlreadyKnown)
	}
	if err := c.lasts(tx); err != nil {
		return err
	}
	if err := c.locals.adopt(tx); err != nil {
		return storageError(err)
	}
	return nil
}

// lasts refuses what pools would not take any more by the time it reached them: it has a slot
// for the way.
func (c *chain) lasts(tx validation.CheckedTx) error {
	least := (mempool.MinSlots + 1) * c.slot()
	if tx.Terms().ExpiredAt(validation.UnixMillis(c.now().Add(least))) {
		return fmt.Errorf("%w: too soon to reach a block, it must be valid for %v", validation.Expired, least)
	}
	return nil
}

func (c *chain) slot() time.Duration { return time.Duration(c.genesis.SlotMillis) * time.Millisecond }

// adoptWhereItIs makes a transaction a local one that is in the pool already, or in a block.
// It holds up blocks meanwhile, so that none moves it unseen.
func (c *chain) adoptWhereItIs(tx validation.CheckedTx) (found bool, err error) {
	c.writer.Lock()
	defer c.writer.Unlock()
	place, included, err := c.txPlace(tx.ID())
	if err != nil || !included && !c.HasTx(tx.ID()) {
		return false, err
	}
	if err := c.locals.adopt(tx); err != nil {
		return false, err
	}
	if included {
		c.locals.placed(tx.ID(), place.Block)
	}
	c.mu.Lock()
	c.pool.Adopt(tx.ID())
	c.mu.Unlock()
	return true, nil
}

// Prefill gives the mempool transactions as if peers had sent them, in order,
// and tells nobody: a simulation begins with pools that are full. It returns
// the first refusal; those after it are tried all the same.
func (n *Node) Prefill(txs []validation.CheckedTx) error {
	n.chain.mu.Lock()
	defer n.chain.mu.Unlock()
	var first error
	for _, tx := range txs {
		if err := n.chain.addLocked(tx, keptSource); err != nil && first == nil {
			first = fmt.Errorf("prefill transaction %s: %w", tx.ID(), err)
		}
	}
	return first
}

// keptLocal tells that a local transaction is on disk. It says whether that is
// news: of calls at the same time for one transaction, one has it.
func (c *chain) keptLocal(tx validation.CheckedTx) (news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.locals.kept(tx.ID()) {
		return false
	}
	c.watch.accepted(tx, c.pool.Has(tx.ID()))
	return true
}

// storageError makes an error of the store one that the API knows.
func storageError(err error) error {
	if errors.Is(err, store.Closed) {
		return fmt.Errorf("%w: %w", api.ErrStopping, err)
	}
	return fmt.Errorf("%w: %w", api.ErrStorage, err)
}

// restoreLocals brings the local transactions that have not ended back into
// the pool.
func (c *chain) restoreLocals() error {
	kept, err := c.store.LocalTxs()
	if err != nil {
		return err
	}
	_, final := c.ends()
	var pending []validation.CheckedTx
	for _, k := range kept {
		tx, err := c.checker.StoredTx(k.Tx)
		if err != nil { // the rules have changed since
			if err := c.store.EndLocalTx(k.Tx.ID(), endInvalid); err != nil {
				return err
			}
			continue
		}
		place, included, err := c.store.TxPlace(tx.ID())
		if err != nil {
			return err
		}
		if included {
			c.locals.restored(tx, place.Block, place.Height <= final.Height)
			continue
		}
		c.locals.restored(tx, wire.BlockID{}, false)
		pending = append(pending, tx)
	}
	// Not as they were accepted: clocks are set back. What replaces another pays more.
	slices.SortStableFunc(pending, func(a, b validation.CheckedTx) int {
		return cmp.Or(bySenderAndNonce(a, b), cmp.Compare(a.Terms().Fee, b.Terms().Fee))
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tx := range pending {
		if c.behindRescueLocked() {
			c.locals.keepEarly(tx)
			continue
		}
		if err := c.addOwnLocked(tx, mempool.Own); err != nil {
			c.lapsedLocked(tx, err)
		}
	}
	return nil
}

// untold returns local transactions, no more than limit, that are in the pool
// still, that too few peers are known to have, and that were not published for
// that long. They count as told now.
func (c *chain) untold(since time.Duration, limit int) []validation.CheckedTx {
	now := time.Now()
	silent := c.locals.silent(now, since)
	if len(silent) == 0 {
		return nil
	}
	var list []validation.CheckedTx
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, tx := range silent {
		if len(list) == limit {
			break
		}
		if c.pool.Has(tx.ID()) && c.locals.tell(tx.ID(), now, since) {
			list = append(list, tx)
		}
	}
	return list
}
