package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// AddBlock implements overlay.Chain.
func (c *chain) AddBlock(_ context.Context, b validation.CheckedBlock, _ peerscore.PeerID) error {
	return c.addBlock(b, false)
}

// addBlock decides what b changes, writes that, and only then lets anybody see
// it. Where the disk fails the change is held in memory instead; if that is not
// possible either, nothing changes, and nobody is blamed.
func (c *chain) addBlock(b validation.CheckedBlock, own bool) error {
	c.writer.Lock()
	defer c.writer.Unlock()

	if err := c.readAhead(b.Header().Body().Parent); err != nil {
		return ours(b, err)
	}
	defer func() { c.ahead = nil }()
	c.mu.Lock()
	c.observeLocked(b.Header()) // what comes by sync, nobody has looked at
	change, err := c.ledger.Prepare(b)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	news := headNews{added: b, own: own, change: change}
	// Read before Commit, which drops the bodies of blocks that lost for good.
	if news.lost, err = c.stored(change.RolledBack, b); err != nil {
		return ours(b, err)
	}
	if news.applied, err = c.stored(change.Applied, b); err != nil {
		return ours(b, err)
	}
	if err := c.keep(news); err != nil {
		return ours(b, err)
	}

	c.mu.Lock()
	c.blocks.put(b.Block().Header, validation.UnixMillis(c.now()))
	news.notes = c.blocks.copyOf(change)
	c.mu.Unlock()
	news.nonces = noncesOf(news.lost)
	ready := c.watch.describe(news)

	c.mu.Lock()
	c.ledger.Apply(change)
	c.blocks.prune(change.Final.Height)
	c.watch.moved(ready)
	c.settleLocked(news)
	c.mu.Unlock()
	c.giveBack(news)

	c.locals.finalized(change.NewlyFinal)
	c.watch.headChanged(news)
	return nil
}

// ours makes an error of our own one that proves nothing against a peer.
func ours(b validation.CheckedBlock, err error) error {
	return fmt.Errorf("%w: block %s: %w", validation.Unavailable, b.ID(), err)
}

// stored returns the blocks called refs; atHand is one that need not be read.
func (c *chain) stored(refs []ledger.Ref, atHand validation.CheckedBlock) ([]validation.CheckedBlock, error) {
	blocks := make([]validation.CheckedBlock, len(refs))
	for i, r := range refs {
		if r.ID == atHand.ID() {
			blocks[i] = atHand
			continue
		}
		raw := c.ahead[r.ID]
		if raw == nil {
			var err error
			if raw, err = c.body(r.ID); err != nil {
				return nil, err
			}
		}
		var err error
		if blocks[i], err = c.checker.Stored(raw); err != nil {
			return nil, err
		}
	}
	return blocks, nil
}

// settleLocked makes the pool follow the ledger: what was included leaves.
func (c *chain) settleLocked(news headNews) {
	var touched []mempool.Touched
	for _, a := range news.change.Accounts {
		touched = append(touched, mempool.Touched{Address: a.Address, Account: poolAccount(a.Account)})
	}
	var included []wire.TxID
	for _, b := range news.applied {
		included = append(included, b.Block().TxIDs()...)
	}
	if len(touched)+len(included) > 0 {
		c.poolChangedLocked(c.pool.Settle(c.now(), touched, included))
	}
	c.returning = news.nonces
	c.locals.moved(time.Now(), news.lost, news.applied, news.change.Head.Height)
}

// noncesOf are those that blocks hold, the newest of which comes first.
func noncesOf(blocks []validation.CheckedBlock) map[wire.Address][]uint64 {
	nonces := make(map[wire.Address][]uint64)
	for _, b := range slices.Backward(blocks) {
		for _, tx := range b.Txs() {
			t := tx.Terms()
			nonces[t.Sender] = append(nonces[t.Sender], t.Nonce)
		}
	}
	return nonces
}

// giveBack gives the pool what a lost fork had included, oldest first, and then what only the
// accounts of the old head forbade. In between it lets others have the pool, who find it without
// room until all is back. The caller holds writer.
func (c *chain) giveBack(news headNews) {
	for _, b := range slices.Backward(news.lost) {
		c.inTurns(b.Txs(), func(tx validation.CheckedTx) {
			c.refusedLocked(tx, c.returnLocked(tx)) // where the new chain has it, or leaves no place for it
		})
	}
	c.inTurns(c.locals.revivable(news.change.Accounts), func(tx validation.CheckedTx) {
		if err := c.returnLocked(tx); waits(err) {
			c.lapsedLocked(tx, err)
		}
	})
	for more := true; more; {
		c.mu.Lock()
		if more = c.trimSomeLocked(); !more {
			c.returning = nil
		}
		c.mu.Unlock()
	}
}

// inTurns does something with each transaction and with mu held, but not for long.
func (c *chain) inTurns(txs []validation.CheckedTx, do func(tx validation.CheckedTx)) {
	for some := range slices.Chunk(txs, c.turn) {
		c.mu.Lock()
		for _, tx := range some {
			do(tx)
		}
		c.mu.Unlock()
	}
}
