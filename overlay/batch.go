package overlay

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
)

// collector gathers transactions that arrive at about the same time and has them checked
// together: a batch of signatures costs a fraction of as many single ones. An idle
// collector checks at once; under load it waits a moment for a batch to fill. Batches are
// checked side by side but taken in the order in which they came: transactions of one
// sender build on each other.
type collector struct {
	check func(ctx context.Context, arrivals []validation.Arrival) []validation.TxResult // constant
	take  func(ctx context.Context, tx validation.CheckedTx, from peer.ID) error
	size  int
	wait  time.Duration
	slots chan struct{} // batches checked at once
	in    chan ticket
}

// ticket is one transaction that waits for its answer.
type ticket struct {
	raw    []byte
	from   peer.ID
	answer chan validation.TxResult // buffered, answered exactly once
}

func newCollector(l Limits, workers int, check func(context.Context, []validation.Arrival) []validation.TxResult,
	take func(context.Context, validation.CheckedTx, peer.ID) error,
) *collector {
	return &collector{
		check: check, take: take, size: l.BatchTxs, wait: l.BatchWait,
		slots: make(chan struct{}, workers), in: make(chan ticket),
	}
}

// ask has one transaction checked and taken. It fails only if ctx ends first.
func (c *collector) ask(ctx context.Context, raw []byte, from peer.ID) (validation.TxResult, error) {
	t := ticket{raw: raw, from: from, answer: make(chan validation.TxResult, 1)}
	select {
	case c.in <- t:
	case <-ctx.Done():
		return validation.TxResult{}, ctx.Err()
	}
	select {
	case r := <-t.answer:
		return r, nil
	case <-ctx.Done():
		return validation.TxResult{}, ctx.Err()
	}
}

// run forms batches until ctx ends, then waits for those that are being checked.
func (c *collector) run(ctx context.Context) {
	defer func() {
		for range cap(c.slots) {
			c.slots <- struct{}{}
		}
	}()
	timer := time.NewTimer(c.wait)
	timer.Stop()
	busy := false
	before := make(chan struct{}) // closed when the batch before is taken
	close(before)
	for {
		var batch []ticket
		select {
		case t := <-c.in:
			batch = append(batch, t)
		case <-ctx.Done():
			return
		}
		batch = c.drain(batch)
		if busy && len(batch) < c.size {
			batch = c.fill(ctx, batch, timer)
		}
		// Load shows as company: a transaction that came alone starts no wait.
		busy = len(batch) > 1
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		turn, done := before, make(chan struct{})
		before = done
		go func() {
			defer func() { <-c.slots }()
			defer close(done)
			c.settle(ctx, batch, turn)
		}()
	}
}

// drain takes what is waiting already.
func (c *collector) drain(batch []ticket) []ticket {
	for len(batch) < c.size {
		select {
		case t := <-c.in:
			batch = append(batch, t)
		default:
			return batch
		}
	}
	return batch
}

// fill waits for more, up to the size of a batch or the end of the wait.
func (c *collector) fill(ctx context.Context, batch []ticket, timer *time.Timer) []ticket {
	timer.Reset(c.wait)
	defer timer.Stop()
	for len(batch) < c.size {
		select {
		case t := <-c.in:
			batch = append(batch, t)
		case <-timer.C:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// settle checks a batch and, in its turn, takes and answers it. A panic of ours answers
// everybody with a refusal, which blames nobody.
func (c *collector) settle(ctx context.Context, batch []ticket, turn <-chan struct{}) {
	answered := 0
	defer func() {
		if r := recover(); r != nil {
			for _, t := range batch[answered:] {
				t.answer <- validation.TxResult{Err: fmt.Errorf("%w: panic while checking: %v", validation.Unavailable, r)}
			}
		}
	}()
	arrivals := make([]validation.Arrival, len(batch))
	for i, t := range batch {
		arrivals[i] = validation.Arrival{Raw: t.raw, From: peerscore.PeerID(t.from)}
	}
	results := c.check(ctx, arrivals)
	<-turn
	for i, t := range batch {
		r := results[i]
		if r.Err == nil {
			r.Err = c.take(ctx, r.Checked, t.from)
		}
		t.answer <- r
		answered++
	}
}
