package node

import (
	"errors"
	"fmt"

	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Bounds of what is held in memory while the disk takes no writes: some minutes
// of an ordinary chain. Beyond them the chain stands still here, and is fetched
// from peers when the disk is back.
const (
	maxHeld      = 1024
	maxHeldBytes = 64 << 20
)

// held is what the chain decided and the disk does not have yet, because it
// failed. The node goes on from memory: what it relays does not depend on its
// disk, and a crash loses nothing but blocks that every peer has. The first
// change may be on disk all the same, if its write was under way.
//
// It is changed with the chain's writer and mu held, and read with either.
type held struct {
	queue   []heldChange
	bytes   int
	blocks  map[wire.BlockID]*wire.Block
	heights map[uint64]wire.BlockID   // of the best chain; zero for one that it lost
	txs     map[wire.TxID]store.Place // of the best chain; zero for one that it lost
}

type heldChange struct {
	change *ledger.Change
	block  *wire.Block
}

// add holds a change with the bodies of what it moves. It is false at the bounds.
func (h *held) add(n headNews) bool {
	block := n.added.Block()
	if len(h.queue) == maxHeld || h.bytes+block.Size() > maxHeldBytes {
		return false
	}
	if h.blocks == nil {
		*h = held{
			blocks: make(map[wire.BlockID]*wire.Block), heights: make(map[uint64]wire.BlockID),
			txs: make(map[wire.TxID]store.Place),
		}
	}
	h.queue = append(h.queue, heldChange{n.change, block})
	h.bytes += block.Size()
	h.blocks[block.ID()] = block
	for i, r := range n.change.RolledBack {
		h.heights[r.Height] = wire.BlockID{}
		for _, tx := range n.lost[i].Txs() {
			h.txs[tx.ID()] = store.Place{}
		}
	}
	for i, r := range n.change.Applied {
		h.heights[r.Height] = r.ID
		for _, tx := range n.applied[i].Txs() {
			h.txs[tx.ID()] = store.Place{Block: r.ID, Height: r.Height}
		}
	}
	return true
}

// written lets go of the oldest change. What is known of blocks and places is
// the same on disk as here, so it goes with the last one.
func (h *held) written() {
	h.bytes -= h.queue[0].block.Size()
	if h.queue = h.queue[1:]; len(h.queue) == 0 {
		*h = held{}
	}
}

// keep writes what a block changed, or holds it where the disk fails. An error
// means that neither was possible. The caller holds writer.
func (c *chain) keep(n headNews) error {
	err := c.writeHeld()
	if err == nil {
		err = c.store.Commit(n.change, n.added.Block())
	}
	if !errors.Is(err, store.Failed) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.held.add(n) {
		return fmt.Errorf("%w; %d blocks wait for it already", err, len(c.held.queue))
	}
	return nil
}

// writeHeld writes what was held, oldest first. The caller holds writer.
func (c *chain) writeHeld() error {
	for len(c.held.queue) > 0 {
		// Before that, the failed database could still show what it did not keep.
		if err := c.store.Err(); err != nil {
			return err
		}
		oldest := c.held.queue[0]
		done, err := c.store.Committed(oldest.change)
		if err == nil && !done {
			err = c.store.Commit(oldest.change, oldest.block)
		}
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.held.written()
		c.mu.Unlock()
	}
	return nil
}

// unwritten says why nothing can be accepted now, and no end be written down: the disk takes no
// writes, or does again and lacks blocks still. What was accepted on their accounts, or has ended
// in them, a crash would leave without them.
func (c *chain) unwritten() error {
	if err := c.store.Err(); err != nil {
		return err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if n := len(c.held.queue); n > 0 {
		return fmt.Errorf("%w: %d blocks wait for the disk", store.Failed, n)
	}
	return nil
}

// release writes what was held, and returns how many blocks that were.
func (c *chain) release() (int, error) {
	c.writer.Lock()
	defer c.writer.Unlock()
	before := len(c.held.queue)
	err := c.writeHeld()
	return before - len(c.held.queue), err
}

// readAhead reads what the ledger will ask for if a child of parent takes the lead, so that others
// need not wait for the disk. The caller holds writer.
func (c *chain) readAhead(parent wire.BlockID) error {
	c.mu.RLock()
	path := c.ledger.Path(parent)
	c.mu.RUnlock()
	c.ahead = make(map[wire.BlockID]*wire.Block, len(path))
	for _, id := range path {
		block, err := c.body(id)
		if err != nil {
			return err
		}
		c.ahead[id] = block
	}
	return nil
}

// bodies reads blocks for the ledger, which asks with mu and writer held.
type bodies struct{ c *chain }

// Block implements ledger.Blocks.
func (b bodies) Block(id wire.BlockID) (*wire.Block, error) {
	if block := b.c.ahead[id]; block != nil {
		return block, nil
	}
	if block := b.c.held.blocks[id]; block != nil {
		return block, nil
	}
	return b.c.store.Block(id)
}

// body returns a block, held or stored.
func (c *chain) body(id wire.BlockID) (*wire.Block, error) {
	c.mu.RLock()
	block := c.held.blocks[id]
	c.mu.RUnlock()
	if block != nil {
		return block, nil
	}
	return c.store.Block(id)
}

// txPlace returns where in the best chain a transaction is, if it is there.
func (c *chain) txPlace(id wire.TxID) (store.Place, bool, error) {
	c.mu.RLock()
	p, known := c.held.txs[id]
	c.mu.RUnlock()
	if known {
		return p, p.Height > 0, nil
	}
	return c.store.TxPlace(id)
}

// placeAt returns the block of the best chain at height, if there is one.
func (c *chain) placeAt(height uint64) (wire.BlockID, bool, error) {
	c.mu.RLock()
	id, known := c.held.heights[height]
	c.mu.RUnlock()
	if known {
		return id, !id.IsZero(), nil
	}
	return c.store.BlockAt(height)
}
