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
	turn    int    // how many transactions are done at a time while others wait for mu
	rescued uint64 // the slot in which a damaged store was set aside, 0 for never

	writer sync.Mutex                   // taken before mu, by whoever changes the ledger; guards ahead
	ahead  map[wire.BlockID]*wire.Block // what a block makes the ledger read, while that is added

	mu     sync.RWMutex // guards what follows
	ledger *ledger.Ledger
	pool   *mempool.Pool
	blocks blockNotes // changed with writer held too
	held   held
	recent *mempool.Recent
	// returning are the nonces that lost blocks had, rising, until the pool has what it takes of them.
	returning map[wire.Address][]uint64
	follow    func(added, removed []wire.TxID) // told of every change of the pool; may be nil
}

// watcher is told what changed. Its methods must not block, nor call back into
// the chain. All but headChanged are called with mu held, so that their order is
// the order of what happened.
type watcher interface {
	poolChanged(c mempool.Change, pool *mempool.Pool)
	accepted(tx validation.CheckedTx, pooled bool)
	moved(ready []api.Event)
	ended(tx validation.CheckedTx, end string) // a local one that was not in the pool
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
	nonces  map[wire.Address][]uint64 // of lost, rising
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
	c.locals, c.archive, c.turn = newLocals(s, cfg.Mempool), newArchive(s), cfg.Mempool.MaxSweep
	w.locals, c.locals.unwritten = c.locals, c.unwritten
	var err error
	policy := cfg.Mempool
	policy.MinLife = mempool.MinSlots * c.slot()
	if c.pool, err = mempool.New(policy); err != nil {
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
	if err == nil {
		c.rescued, err = s.RescueSlot()
	}
	if err != nil {
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
