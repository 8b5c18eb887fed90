package node

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Bounds of what waits beside the pool because others of its senders, with lower nonces, came
// and displaced it there. A sender has no more waiting than a share of what it may have
// pooled: enough for the widest gap by default, and too few for one to take all places.
const (
	maxEarly      = 4096
	maxEarlyBytes = 16 << 20
	earlyShare    = 16
)

// errNoPlace is the refusal of what waits for others of its sender where too many wait already,
// or others pay. What it pays counts once those before it have come.
var errNoPlace = errors.New("it waits for those before it, and has no place to")

// waits says whether what was refused for that reason may be possible as soon as others of its
// sender come or go, or as the pool has given way to what lost blocks gave back.
func waits(why error) bool {
	return errors.Is(why, validation.NonceTooFar) || errors.Is(why, mempool.ErrSenderFull) ||
		errors.Is(why, mempool.ErrGivingBack) || errors.Is(why, errNoPlace)
}

// ownRefusalLocked makes a refusal of what was accepted here one that says whether it waits.
func (c *chain) ownRefusalLocked(tx validation.CheckedTx, err error) error {
	if !errors.Is(err, validation.PoolFull) || !c.locals.live(tx.ID()) {
		return err
	}
	terms := tx.Terms()
	if next := c.pool.NextNonce(terms.Sender, c.ledger.Account(terms.Sender).Nonce); terms.Nonce > next {
		return fmt.Errorf("%w: %w", errNoPlace, err)
	}
	return err
}

// behindRescueLocked says whether the chain is still being fetched again that a damaged store had:
// until then its accounts say nothing of what was accepted here.
func (c *chain) behindRescueLocked() bool { return c.ledger.Head().Slot < c.rescued }

// keepEarly has a transaction wait that was accepted.
func (l *locals) keepEarly(tx validation.CheckedTx) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.early[tx.ID()] = tx
}

// waiting returns what the pool may take by now, in the order of nonces.
func (l *locals) waiting() []validation.CheckedTx {
	l.mu.Lock()
	txs := slices.AppendSeq(make([]validation.CheckedTx, 0, len(l.early)), maps.Values(l.early))
	l.mu.Unlock()
	slices.SortFunc(txs, bySenderAndNonce)
	return txs
}

// crowded says of a transaction that may be displaced whether it was accepted here and finds
// too many waiting beside the pool.
func (l *locals) crowded(tx validation.CheckedTx) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.txs[tx.ID()]
	return t != nil && t.live() && l.crowdedLocked(tx)
}

// staysLocked says whether what left the pool waits beside it: it was displaced, or it had to
// wait for others anyway and made room.
func (l *locals) staysLocked(t *local, r mempool.Removal) bool {
	switch {
	case !t.live():
		return false
	case r.Reason == mempool.Evicted && r.Waited:
		return !l.crowdedLocked(r.Tx)
	default:
		return r.Reason == mempool.Displaced
	}
}

func (l *locals) crowdedLocked(tx validation.CheckedTx) bool {
	bytes, ofSender := tx.Size(), 0
	for _, e := range l.early {
		bytes += e.Size()
		if e.Terms().Sender == tx.Terms().Sender {
			ofSender++
		}
	}
	return len(l.early) >= maxEarly || bytes > maxEarlyBytes || ofSender >= l.perSender
}

// nextNonce is the first nonce from next on that none of a sender's early ones has.
func (l *locals) nextNonce(sender wire.Address, next uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return firstFree(l.early, sender, next)
}

// firstFree is the first nonce from next on that none of a sender's transactions has.
func firstFree(txs map[wire.TxID]validation.CheckedTx, sender wire.Address, next uint64) uint64 {
	taken := make(map[uint64]bool)
	for _, tx := range txs {
		if t := tx.Terms(); t.Sender == sender {
			taken[t.Nonce] = true
		}
	}
	for taken[next] {
		next++
	}
	return next
}
