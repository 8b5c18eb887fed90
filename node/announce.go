package node

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// announcer gives the overlay local transactions to publish, one after the
// other in the order in which they were accepted. Peers that heard of a nonce
// long before those below it would drop it, and not hear of it again for minutes.
//
// What waits is on disk, and in the pool or among the private ones; here are
// its ids. What is no longer there when its turn comes has ended, and is left
// out.
type announcer struct {
	logger *slog.Logger                                            // constant
	get    func(id wire.TxID) (tx validation.CheckedTx, live bool) // what is to be announced still
	wake   chan struct{}                                           // holds one token when something was added

	mu    sync.Mutex
	queue []wire.TxID
}

// maxQueued is how many transactions wait to be announced: a megabyte of ids,
// and more than the overlay keeps for a first peer. What finds no room is
// announced again later, as what nobody echoed is (see chain.untold).
const maxQueued = 1 << 15

func newAnnouncer(logger *slog.Logger, get func(wire.TxID) (validation.CheckedTx, bool)) *announcer {
	return &announcer{logger: logger, get: get, wake: make(chan struct{}, 1)}
}

// add puts transactions at the end of the queue.
func (a *announcer) add(txs ...validation.CheckedTx) {
	a.mu.Lock()
	for _, tx := range txs[:min(len(txs), maxQueued-len(a.queue))] {
		a.queue = append(a.queue, tx.ID())
	}
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// len is how many wait.
func (a *announcer) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.queue)
}

// take removes all that wait.
func (a *announcer) take() (ids []wire.TxID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids, a.queue = a.queue, nil
	return ids
}

// next removes the first, as many as are announced without a pause.
func (a *announcer) next() (ids []wire.TxID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := min(announceBurst, len(a.queue))
	ids, a.queue = a.queue[:n:n], a.queue[n:]
	return ids
}

// giveBack puts what could not be announced, and has not ended, before what
// came since.
func (a *announcer) giveBack(ids []wire.TxID) {
	ids = slices.DeleteFunc(ids, func(id wire.TxID) bool {
		_, live := a.get(id)
		return !live
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue = append(ids, a.queue...)
	a.queue = a.queue[:min(len(a.queue), maxQueued)]
}

// announceRetry is how long the overlay is left alone once it takes no more.
const announceRetry = time.Second

// A backlog is announced with pauses: the queues to the peers are bounded, and
// what overflows them is lost on that link.
const (
	announceBurst = 200
	announcePause = 50 * time.Millisecond
)

// run has publish publish what was added, until ctx ends. publish returns how
// many it could.
func (a *announcer) run(ctx context.Context, publish func(context.Context, []validation.CheckedTx) (int, error)) {
	for {
		select {
		case <-a.wake:
		case <-ctx.Done():
			return
		}
		for ids := a.next(); len(ids) > 0; ids = a.next() {
			left, err := a.announce(ctx, ids, publish)
			switch {
			case err != nil:
				a.giveBack(append(left, a.take()...))
				if ctx.Err() == nil {
					a.logger.Warn("transactions wait for their publication", "count", a.len(), "err", err)
				}
				if !sleep(ctx, announceRetry) {
					return
				}
			case len(ids) == announceBurst && !sleep(ctx, announcePause):
				return
			}
		}
	}
}

// announce has those of ids published that have not ended, and returns what is
// left of them where publish fails.
func (a *announcer) announce(ctx context.Context, ids []wire.TxID, publish func(context.Context, []validation.CheckedTx) (int, error)) (left []wire.TxID, err error) {
	txs := make([]validation.CheckedTx, 0, len(ids))
	for _, id := range ids {
		if tx, live := a.get(id); live {
			txs = append(txs, tx)
		}
	}
	done, err := publish(ctx, txs)
	for _, tx := range txs[done:] {
		left = append(left, tx.ID())
	}
	return left, err
}

// announceable gives a transaction that is pooled and whose time is not over.
func (c *chain) announceable(id wire.TxID) (tx validation.CheckedTx, live bool) {
	tx, live = c.Tx(id)
	return tx, live && !tx.Terms().ExpiredAt(validation.UnixMillis(c.now()))
}

// toAll announces transactions to all peers of o, as far as it gets.
func toAll(o *overlay.Overlay) func(context.Context, []validation.CheckedTx) (int, error) {
	return func(ctx context.Context, txs []validation.CheckedTx) (done int, err error) {
		for i, tx := range txs {
			if err := o.PublishTx(ctx, tx); err != nil {
				return i, err
			}
		}
		return len(txs), nil
	}
}

// alongStems sends transactions on their way to be published by another node.
func alongStems(o *overlay.Overlay) func(context.Context, []validation.CheckedTx) (int, error) {
	return func(_ context.Context, txs []validation.CheckedTx) (done int, err error) {
		for i, tx := range txs {
			if err := o.PublishPrivately(tx); err != nil {
				return i, err
			}
		}
		return len(txs), nil
	}
}
