package node

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// private are the transactions of this node's users that are published along
// stems, until they are public or have ended. They are on disk but not in the
// pool: what is pooled, peers learn of. After a restart they are announced as
// all others, since losing one would be worse than telling whose it is. So is
// one that the overlay gave up too early, at the end of its embargo, when those
// before it were not public yet: as soon as they are.
type private struct {
	chain     *chain     // constant, as announcer
	announcer *announcer // has what the overlay does not have yet

	mu   sync.Mutex
	held map[wire.TxID]validation.CheckedTx
}

func newPrivate(c *chain, logger *slog.Logger) *private {
	p := &private{chain: c, held: make(map[wire.TxID]validation.CheckedTx)}
	p.announcer = newAnnouncer(logger, p.get)
	return p
}

// maxPrivate is how many may be on their way at a time: as many as the overlay
// holds of our own.
const maxPrivate = 256

// SubmitPrivately implements api.Submitter.
func (n *Node) SubmitPrivately(ctx context.Context, raw []byte) (api.TxStatus, error) {
	if err := n.store.Err(); err != nil {
		return api.TxStatus{}, storageError(err)
	}
	tx, err := n.chain.checker.Tx(ctx, n.cfg.Now(), raw)
	if err != nil {
		return n.known(raw, err)
	}
	if n.chain.HasTx(tx.ID()) { // no secret any more
		return n.Submit(ctx, raw)
	}
	if n.private.has(tx.ID()) {
		return n.txStatus(tx.ID())
	}
	if err := n.chain.GlanceTxs([]validation.Claim{tx.Claim()})[0]; err != nil {
		return n.known(raw, err)
	}
	if err := n.tooFar(tx); err != nil {
		return n.known(raw, err)
	}
	if n.private.len() >= maxPrivate {
		return api.TxStatus{}, fmt.Errorf("%w: %d private transactions are on their way already", validation.PoolFull, maxPrivate)
	}
	if err := n.chain.adopt(tx); err != nil {
		return n.known(raw, err)
	}
	n.chain.locals.hush(tx.ID())
	if err := n.store.PutLocalTx(tx.Tx(), n.cfg.Now()); err != nil {
		n.chain.locals.disown(tx.ID())
		return api.TxStatus{}, storageError(err)
	}
	n.private.add(tx)
	n.chain.keptLocal(tx)
	return n.txStatus(tx.ID())
}

// tooFar refuses a nonce as the pool would, were in it what is on its way
// there: it may have to wait until all that is.
func (n *Node) tooFar(tx validation.CheckedTx) error {
	_, next := n.nextNonce(tx.Terms().Sender)
	return n.cfg.Mempool.CheckGap(tx.Terms().Nonce, next)
}

// nextNonce returns an account at the head, and its first nonce that nothing has
// which is pooled, waits for others, or is private.
func (n *Node) nextNonce(a wire.Address) (account ledger.Account, next uint64) {
	c := n.chain
	c.mu.RLock()
	account = c.ledger.Account(a)
	next = c.pool.NextNonce(a, account.Nonce)
	c.mu.RUnlock()
	for { // without the chain's lock, which sweep takes with that of what is private
		before := next
		if next = n.private.nextNonce(a, c.locals.nextNonce(a, next)); next == before {
			return account, next
		}
	}
}

func (p *private) add(tx validation.CheckedTx) {
	p.mu.Lock()
	_, again := p.held[tx.ID()]
	p.held[tx.ID()] = tx
	p.mu.Unlock()
	if !again {
		p.announcer.add(tx)
	}
}

func (p *private) has(id wire.TxID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.held[id]
	return ok
}

// get gives a transaction that is neither public nor has ended.
func (p *private) get(id wire.TxID) (tx validation.CheckedTx, live bool) {
	p.mu.Lock()
	tx, live = p.held[id]
	p.mu.Unlock()
	return tx, live && !p.over(tx)
}

func (p *private) over(tx validation.CheckedTx) bool {
	return tx.Terms().ExpiredAt(validation.UnixMillis(p.chain.now())) || p.gone(tx.ID())
}

// gone tells whether a transaction is public, has ended, or was given up by the overlay.
func (p *private) gone(id wire.TxID) bool {
	return !p.chain.locals.hushed(id) || p.chain.HasTx(id)
}

func (p *private) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.held)
}

// nextNonce is the first nonce from next on that none of a sender's has.
func (p *private) nextNonce(sender wire.Address, next uint64) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return firstFree(p.held, sender, next)
}

// sweep lets go of what is gone.
func (p *private) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.held {
		if p.gone(id) {
			delete(p.held, id)
		}
	}
}
