package node

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/validation"
)

// announcer gives the overlay local transactions to publish, one after the
// other in the order in which they were accepted. Peers that heard of a nonce
// long before those below it would drop it, and not hear of it again for minutes.
//
// What waits here is on disk, and in the pool or among the private ones, so its
// number is bounded by theirs.
type announcer struct {
	logger *slog.Logger  // constant
	wake   chan struct{} // holds one token when something was added

	mu    sync.Mutex
	queue []validation.CheckedTx
}

func newAnnouncer(logger *slog.Logger) *announcer {
	return &announcer{logger: logger, wake: make(chan struct{}, 1)}
}

// add puts transactions at the end of the queue.
func (a *announcer) add(txs ...validation.CheckedTx) {
	a.mu.Lock()
	a.queue = append(a.queue, txs...)
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// idle tells whether everything was announced.
func (a *announcer) idle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.queue) == 0
}

func (a *announcer) take() []validation.CheckedTx {
	a.mu.Lock()
	defer a.mu.Unlock()
	txs := a.queue
	a.queue = nil
	return txs
}

// giveBack puts what could not be announced before what came since.
func (a *announcer) giveBack(txs []validation.CheckedTx) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue = append(txs, a.queue...)
}

// announceRetry is how long the overlay is left alone once it takes no more.
const announceRetry = time.Second

// run has publish publish what was added, until ctx ends. publish returns how
// many it could.
func (a *announcer) run(ctx context.Context, publish func(context.Context, []validation.CheckedTx) (int, error)) {
	for {
		select {
		case <-a.wake:
		case <-ctx.Done():
			return
		}
		for txs := a.take(); len(txs) > 0; txs = a.take() {
			done, err := publish(ctx, txs)
			if err == nil {
				continue
			}
			a.giveBack(txs[done:])
			if ctx.Err() == nil {
				a.logger.Warn("transactions wait for their publication", "count", len(txs)-done, "err", err)
			}
			if !sleep(ctx, announceRetry) {
				return
			}
		}
	}
}

// A backlog is announced with pauses: the queues to the peers are bounded, and
// what overflows them is lost on that link.
const (
	announceBurst = 200
	announcePause = 50 * time.Millisecond
)

// toAll announces transactions to all peers of o, as far as it gets.
func toAll(o *overlay.Overlay) func(context.Context, []validation.CheckedTx) (int, error) {
	return func(ctx context.Context, txs []validation.CheckedTx) (done int, err error) {
		for i, tx := range txs {
			if i > 0 && i%announceBurst == 0 && !sleep(ctx, announcePause) {
				return i, ctx.Err()
			}
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
