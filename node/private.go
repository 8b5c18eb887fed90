package node

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/grapevine-p2p/grapevine/mempool"
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
	if err := n.chain.unwritten(); err != nil {
		return api.TxStatus{}, storageError(err)
	}
	tx, err := n.chain.checker.Tx(ctx, n.cfg.Now(), raw)
	if err != nil {
		return n.known(raw, err)
	}
	if n.chain.HasTx(tx.ID()) { // no secret any more
		return n.Submit(ctx, raw)
	}
	if n.private.has(tx.ID()) && n.chain.locals.keeps(tx.ID()) {
		return n.txStatus(tx.ID())
	}
	if err := n.chain.GlanceTxs([]validation.Claim{tx.Claim()})[0]; err != nil {
		return n.known(raw, err)
	}
	if err := n.tooFar(tx); err != nil {
		return n.known(raw, err)
	}
	if err := n.chain.adopt(tx); err != nil {
		return n.known(raw, err)
	}
	n.chain.locals.hush(tx.ID())
	if err := n.private.take(tx, n.cfg.Mempool); err != nil {
		n.chain.locals.disown(tx.ID())
		return n.known(raw, err)
	}
	n.chain.locals.taken(tx.ID())
	if err := n.chain.locals.write(tx, n.cfg.Now()); err != nil {
		n.chain.locals.disown(tx.ID())
		n.private.sweep()
		return api.TxStatus{}, storageError(err)
	}
	if n.chain.keptLocal(tx) {
		n.private.announcer.add(tx)
	}
	return n.accepted(tx.ID())
}

// tooFar refuses a nonce as the pool would, were in it what is on its way
// there: it may have to wait until all that is.
func (n *Node) tooFar(tx validation.CheckedTx) error {
	_, next := n.nextNonce(tx.Terms().Sender)
	return n.cfg.Mempool.CheckGap(tx.Terms().Nonce, next)
}

// nextNonce returns an account at the head, and its first nonce that nothing has
// which is pooled, waits for others, is private, or is coming back from a lost block.
func (n *Node) nextNonce(a wire.Address) (account ledger.Account, next uint64) {
	c := n.chain
	account, next = c.nextNonce(a, 0)
	for { // without the chain's lock, which sweep takes with that of what is private
		before := next
		if next = n.private.nextNonce(a, c.locals.nextNonce(a, next)); next == before {
			return account, next
		}
		_, next = c.nextNonce(a, next)
	}
}

// nextNonce returns an account at the head, and its first nonce from least on that nothing has
// which is pooled or coming back.
func (c *chain) nextNonce(a wire.Address, least uint64) (account ledger.Account, next uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	account = c.ledger.Account(a)
	next = max(least, account.Nonce)
	for {
		before := next
		for _, nonce := range c.returning[a] {
			if nonce == next {
				next++
			}
		}
		if next = c.pool.NextNonce(a, next); next == before {
			return account, next
		}
	}
}

// take gives a transaction a place, unless there is none or the pool would refuse it, were in
// it what is on its way there.
func (p *private) take(tx validation.CheckedTx, policy mempool.Config) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	others := p.othersLocked(tx)
	for _, o := range others {
		if o.Terms().Nonce == tx.Terms().Nonce && !policy.Outbids(tx.Claim(), o.Claim()) {
			return fmt.Errorf("%w: %s, which is on its way, has its nonce, and pays a fee of %d", validation.Underpriced, o.ID(), o.Terms().Fee)
		}
	}
	if _, again := p.held[tx.ID()]; !again && len(p.held) >= maxPrivate {
		return fmt.Errorf("%w: %d private transactions are on their way already", validation.PoolFull, maxPrivate)
	}
	if err := p.chain.affords(tx, others); err != nil {
		return err
	}
	p.held[tx.ID()] = tx
	return nil
}

// affords refuses what its sender cannot pay for beside what is on its way to the pool.
func (p *private) affords(tx validation.CheckedTx) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	others := p.othersLocked(tx)
	if len(others) == 0 {
		return nil // the pool has the rest
	}
	return p.chain.affords(tx, others)
}

// othersLocked are the sender's other ones that are on their way.
func (p *private) othersLocked(tx validation.CheckedTx) (others []validation.CheckedTx) {
	for id, o := range p.held {
		if o.Terms().Sender == tx.Terms().Sender && id != tx.ID() && !p.over(o) {
			others = append(others, o)
		}
	}
	return others
}

// affords refuses what its sender cannot pay for beside those others and the pooled ones.
func (c *chain) affords(tx validation.CheckedTx, others []validation.CheckedTx) error {
	terms := tx.Terms()
	account, pooled := c.ofSender(terms.Sender)
	spends := terms.Spends
	for _, o := range append(others, pooled...) {
		if t := o.Terms(); t.Nonce != terms.Nonce && t.Nonce >= account.Nonce {
			spends = validation.SaturatingAdd(spends, t.Spends)
		}
	}
	if spends > account.Balance {
		return fmt.Errorf("%w: with the sender's others it spends %d, the balance is %d", validation.Overdraft, spends, account.Balance)
	}
	return nil
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
	return p.expired(tx) || p.gone(tx.ID())
}

func (p *private) expired(tx validation.CheckedTx) bool {
	return tx.Terms().ExpiredAt(validation.UnixMillis(p.chain.now()))
}

// gone tells whether a transaction is public, has ended, or was given up by the overlay.
func (p *private) gone(id wire.TxID) bool {
	return !p.chain.locals.hushed(id) || p.chain.HasTx(id)
}

// nextNonce is the first nonce from next on that none of a sender's has.
func (p *private) nextNonce(sender wire.Address, next uint64) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return firstFree(p.held, sender, next)
}

// sweep lets go of what is gone, and ends what nobody can publish any more.
func (p *private) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, tx := range p.held {
		if p.expired(tx) {
			p.chain.lapse(tx)
		}
		if p.gone(id) {
			delete(p.held, id)
		}
	}
}
