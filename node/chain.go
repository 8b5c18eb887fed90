package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// chain is the lock around ledger and mempool, and the order in which they and
// the store change. It is the node's validation.Application, overlay.Chain and
// overlay.Pool.
//
// A block goes to the disk before it goes into the ledger. writer is held all
// that while and mu only for the moments before and after, so that transactions
// do not wait for the disk.
type chain struct {
	genesis *wire.Genesis
	network wire.NetworkID // of genesis, whose hash takes long where it allocates to many
	store   *store.Store
	now     func() time.Time
	checker *validation.Checker // set by newChain, then constant
	watch   watcher
	locals  *locals
	archive *archive

	writer sync.Mutex // taken before mu, by whoever changes the ledger

	mu     sync.RWMutex // guards what follows
	ledger *ledger.Ledger
	pool   *mempool.Pool
	blocks blockNotes // changed with writer held too
	held   held
	recent *mempool.Recent
	follow func(added, removed []wire.TxID) // told of every change of the pool; may be nil
}

// watcher is told what changed. Its methods must not block, nor call back into
// the chain. All but headChanged are called with mu held, so that their order is
// the order of what happened.
type watcher interface {
	poolChanged(c mempool.Change, pool *mempool.Pool)
	accepted(tx validation.CheckedTx, pooled bool)
	moved(ready []api.Event)
	ended(tx validation.CheckedTx, how api.Kind) // a local one that was not in the pool
	headChanged(n headNews)
	evidence(ev *wire.Evidence)

	// describe prepares what moved is going to tell. It takes its time, so it is
	// called without mu.
	describe(n headNews) []api.Event
}

// headNews is what a block changed.
type headNews struct {
	added   validation.CheckedBlock
	own     bool
	change  *ledger.Change
	lost    []validation.CheckedBlock // as change.RolledBack
	applied []validation.CheckedBlock // as change.Applied
	notes   blockNotes                // of the blocks that change names
}

// recentTxs and recentBytes bound the transactions that are remembered for blocks after they
// left the pool: what the largest block holds.
const (
	recentTxs   = 20_000
	recentBytes = wire.MaxBlock
)

// newChain loads what the store holds, or begins with genesis.
func newChain(cfg Config, g *wire.Genesis, s *store.Store, w *events) (*chain, error) {
	c := &chain{genesis: g, network: g.ID(), store: s, now: cfg.Now, watch: w, blocks: make(blockNotes), recent: mempool.NewRecent(recentTxs, recentBytes)}
	c.locals, c.archive = newLocals(s, cfg.Mempool), newArchive(s)
	w.locals = c.locals
	var err error
	if c.pool, err = mempool.New(cfg.Mempool); err != nil {
		return nil, err
	}
	saved, found, err := s.Load()
	if err != nil {
		return nil, err
	}
	if found {
		c.ledger, err = ledger.Restore(g, bodies{c}, saved)
		for _, h := range saved.Tree {
			c.blocks.put(h, 0)
		}
	} else if c.ledger, err = ledger.New(g, bodies{c}); err == nil {
		err = s.Init(c.ledger.Save())
	}
	if err != nil {
		var damage ledger.Damage
		if errors.As(err, &damage) {
			err = fmt.Errorf("%w; restore %s from a backup, or move it away: the node then fetches the chain again", err, dataDir(cfg.Home))
		}
		return nil, fmt.Errorf("load the chain: %w", err)
	}
	if err := c.archive.restore(c.ledger); err != nil {
		return nil, err
	}
	var judge validation.Application = c
	if cfg.Judge != nil {
		judge = cfg.Judge(c)
	}
	if c.checker, err = validation.NewChecker(g, judge); err != nil {
		return nil, err
	}
	return c, nil
}

// DescribeTx implements validation.Application. It reads no state.
func (c *chain) DescribeTx(tx *wire.Transaction) (validation.TxTerms, error) {
	return c.ledger.DescribeTx(tx)
}

// CheckTxs implements validation.Application.
func (c *chain) CheckTxs(ctx context.Context, now time.Time, txs []validation.CheckedTx) []error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.ledger.CheckTxs(ctx, now, txs)
}

// CheckHeader implements validation.Application.
func (c *chain) CheckHeader(ctx context.Context, now time.Time, h *wire.HeaderBody, road validation.Road) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.ledger.CheckHeader(ctx, now, h, road)
}

// Head implements overlay.Chain.
func (c *chain) Head() ledger.Ref {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.ledger.Head()
}

// ends returns the head and the last final block.
func (c *chain) ends() (head, final ledger.Ref) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.ledger.Head(), c.ledger.Final()
}

// HasBlock implements overlay.Chain: stored, and its ancestors with it.
func (c *chain) HasBlock(id wire.BlockID) bool {
	c.mu.RLock()
	has := c.ledger.Has(id)
	c.mu.RUnlock()
	if has || id == c.network.GenesisBlock() {
		return true
	}
	// Below the final block the store knows better.
	b, err := c.body(id)
	if err != nil {
		return false
	}
	at, ok, err := c.placeAt(b.Header.Body().Height)
	return err == nil && ok && at == id
}

// Block implements overlay.Chain.
func (c *chain) Block(id wire.BlockID) (*wire.Block, error) {
	b, err := c.body(id)
	if errors.Is(err, store.NotFound) {
		return nil, fmt.Errorf("%w: block %s", overlay.NotFound, id)
	}
	return b, err
}

// Header implements overlay.HeaderKeeper.
func (c *chain) Header(id wire.BlockID) (*wire.Header, error) {
	c.mu.RLock()
	block := c.held.blocks[id]
	c.mu.RUnlock()
	if block != nil {
		return block.Header, nil
	}
	h, err := c.store.Header(id)
	if errors.Is(err, store.NotFound) {
		return nil, fmt.Errorf("%w: block %s", overlay.NotFound, id)
	}
	return h, err
}

// BlockAt implements overlay.Chain.
func (c *chain) BlockAt(height uint64) (wire.BlockID, bool) {
	if height == 0 {
		return wire.BlockID{}, false // genesis is no block
	}
	c.mu.RLock()
	ref, ok := c.ledger.AtHeight(height)
	above := height > c.ledger.Head().Height
	c.mu.RUnlock()
	if ok || above {
		return ref.ID, ok
	}
	id, ok, err := c.placeAt(height)
	return id, ok && err == nil
}

// Observe implements overlay.Chain.
func (c *chain) Observe(h validation.CheckedHeader) (first bool, ev *wire.Evidence) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.observeLocked(h)
}

func (c *chain) observeLocked(h validation.CheckedHeader) (first bool, ev *wire.Evidence) {
	first, ev = c.ledger.Observe(h)
	if ev != nil {
		c.archive.add(ev, c.now())
		c.watch.evidence(ev)
	}
	return first, ev
}

// AddEvidence implements overlay.EvidenceKeeper.
func (c *chain) AddEvidence(ev *wire.Evidence) (news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if news = c.ledger.AddEvidence(ev); news {
		c.archive.add(ev, c.now())
		c.watch.evidence(ev)
	}
	return news
}

// Match implements overlay.Pool.
func (c *chain) Match(salt wire.Salt, want []wire.ShortID) []validation.CheckedTx {
	c.mu.RLock()
	defer c.mu.RUnlock()
	known := slices.Collect(c.pool.Match(salt, want))
	pooled := make(map[wire.ShortID]bool, len(known))
	for _, tx := range known {
		pooled[wire.ShortIDOf(salt, tx.ID())] = true
	}
	// A flood fills the memory of what left with thousands that no block wants: it is looked
	// through only for what the pool lacks.
	lacking := slices.DeleteFunc(slices.Clone(want), func(id wire.ShortID) bool { return pooled[id] })
	return slices.AppendSeq(known, c.recent.Match(salt, lacking))
}

// HasTx implements overlay.TxHolder.
func (c *chain) HasTx(id wire.TxID) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.pool.Has(id)
}

// Tx implements overlay.TxSource.
func (c *chain) Tx(id wire.TxID) (validation.CheckedTx, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.pool.Get(id)
}

// ofSender returns an account at the head, and what the pool has of it.
func (c *chain) ofSender(a wire.Address) (ledger.Account, []validation.CheckedTx) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.ledger.Account(a), c.pool.BySender(a)
}

// Included implements overlay.TxIndex. What cannot be read is not known.
func (c *chain) Included(id wire.TxID) bool {
	_, included, err := c.txPlace(id)
	return err == nil && included
}

// WatchTxs implements overlay.TxSource. There is one watcher at a time.
func (c *chain) WatchTxs(changed func(added, removed []wire.TxID)) (pooled []wire.TxID, stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.follow = changed
	pooled = make([]wire.TxID, 0, c.pool.Len())
	for tx := range c.pool.All() {
		pooled = append(pooled, tx.ID())
	}
	return pooled, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.follow = nil
	}
}

// AddTx implements overlay.Pool.
//
// One of this node's own, which the overlay published at last, ends where the
// pool does not take it.
func (c *chain) AddTx(_ context.Context, tx validation.CheckedTx, from peerscore.PeerID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.addLocked(tx)
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
	c.locals.lapsed(tx, err, c.ledger.Head().Height)
	if kind, ok := kindOfEnd(c.locals.ended(id)); ok {
		c.watch.ended(tx, kind)
	}
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
// too many: a rollback gives back more than there is room for.
func (c *chain) retryEarly() {
	txs := c.locals.waiting()
	if len(txs) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var stuck wire.Address // whose others, with higher nonces, wait for the same
	now := validation.UnixMillis(c.now())
	for _, tx := range txs {
		if tx.Terms().ExpiredAt(now) {
			c.refusedLocked(tx, validation.Expired)
			continue
		}
		if tx.Terms().Sender == stuck {
			continue
		}
		err := c.addLocked(tx)
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

// addLocked gives tx to the pool, unless it pushes out what was accepted here and has no place
// beside the pool either.
func (c *chain) addLocked(tx validation.CheckedTx) error {
	if last, ok := c.pool.Displaces(tx.Claim()); ok && c.locals.crowded(last) {
		return fmt.Errorf("%w: too many of those that were accepted wait for room already", mempool.ErrSenderFull)
	}
	account := c.ledger.Account(tx.Terms().Sender)
	change, err := c.pool.Add(c.now(), tx, poolAccount(account))
	c.poolChangedLocked(change)
	return err
}

// returnLocked gives back to the pool what a lost block had taken.
func (c *chain) returnLocked(tx validation.CheckedTx) error {
	account := c.ledger.Account(tx.Terms().Sender)
	change, err := c.pool.Return(c.now(), tx, poolAccount(account))
	c.poolChangedLocked(change)
	return err
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
	c.mu.Lock()
	defer c.mu.Unlock()
	c.poolChangedLocked(c.pool.Expire(c.now()))
}
