package node

import (
	"context"
	"errors"
	"time"

	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/wire"
)

// snapshotEvery is how much of what peers sent a crash may cost. They have it
// too, so it is for a quick start only.
const snapshotEvery = 2 * time.Minute

// runSnapshots fills the pool with what it held before the last stop, and then
// writes down from time to time what it holds.
func (n *Node) runSnapshots(ctx context.Context) error {
	if !n.loadSnapshot(ctx) {
		return nil
	}
	n.loaded.Store(true)
	tick := time.NewTicker(snapshotEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			n.saveSnapshot(snapshotEvery)
		}
	}
}

// loadSnapshot gives the pool what the snapshot holds, as if peers sent it, and says whether it
// came to the end. All of it was verified before it was written down.
func (n *Node) loadSnapshot(ctx context.Context) (whole bool) {
	raws, err := n.store.ReadSnapshot()
	if err != nil {
		n.cfg.Logger.Warn("the snapshot of the mempool cannot be used and is dropped; peers have what it held", "err", err)
		return true
	}
	begun, taken := time.Now(), 0
	for _, raw := range raws {
		if ctx.Err() != nil {
			return false
		}
		tx, err := wire.DecodeTransaction(raw)
		if err != nil {
			continue // the rules have changed since
		}
		if checked, err := n.chain.checker.StoredTx(tx); err == nil && n.chain.AddTx(ctx, checked, "") == nil {
			taken++
		}
	}
	if taken > 0 {
		n.cfg.Logger.Info("filled the mempool from its snapshot", "transactions", taken, "took", time.Since(begun).Round(time.Millisecond))
	}
	return true
}

// snapshotAtStop is how long a stop waits for the snapshot, of the time that it has in all.
const snapshotAtStop = time.Second

// saveSnapshot writes down what peers sent, the best first, and as much of it as a disk takes within
// that time; the rest is in the store anyway.
func (n *Node) saveSnapshot(within time.Duration) {
	c, until := n.chain, time.Now().Add(within)
	c.mu.RLock()
	list := c.pool.List()
	c.mu.RUnlock()
	_, err := n.store.WriteSnapshot(func(yield func([]byte) bool) {
		for tx := range list.All() {
			if time.Now().After(until) {
				return
			}
			if local, _ := c.locals.has(tx.ID()); !local && !yield(tx.Tx().Bytes()) {
				return
			}
		}
	})
	if err != nil && !errors.Is(err, store.Failed) && !errors.Is(err, store.Closed) {
		n.cfg.Logger.Warn("the mempool could not be written down", "err", err)
	}
}
