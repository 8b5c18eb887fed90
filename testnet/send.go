package testnet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/grapevine-p2p/grapevine/testnet/shapes"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// queued drafts per node keep a node busy through a slow write to disk;
	// beyond them the load waits, rather than pile up.
	queued = 64

	// maxUnsettled bounds what the watch remembers when a run has no end and
	// the network cannot keep up.
	maxUnsettled = 20_000

	// catchUp is how much of the load a machine that stood still makes up for.
	catchUp = time.Second

	// submitWithin is far beyond what a healthy node takes.
	submitWithin = 15 * time.Second
)

// send puts the load on the network until live ends or it is time to settle.
// A wallet always uses the same node, and each node has one sender, so that a
// wallet's nonces reach its node in order.
func (d *demo) send(live, up context.Context) error {
	stop := live
	if d.o.For != 0 {
		var cancel context.CancelFunc
		stop, cancel = context.WithDeadline(live, d.figures.ready.Add(d.o.For-settle(d.o.Slot)))
		defer cancel()
	}
	queues := make([]chan shapes.Draft, len(d.net.nodes))
	var senders errgroup.Group
	for i := range queues {
		queues[i] = make(chan shapes.Draft, queued)
		senders.Go(func() error { return d.sendTo(up, stop, i, queues[i]) })
	}
	d.pace(stop, queues)
	for _, q := range queues {
		close(q)
	}
	return senders.Wait()
}

// pace hands out drafts at random times, o.Rate a second on average, as
// wallets do that know nothing of each other.
func (d *demo) pace(stop context.Context, queues []chan shapes.Draft) {
	rng := rand.New(rand.NewPCG(d.o.Seed, 1))
	timer := time.NewTimer(0)
	defer timer.Stop()
	for next := time.Now(); ; {
		select {
		case <-timer.C:
		case <-stop.Done():
			return
		}
		if !until(stop, func() bool { return d.watch.unsettled() < maxUnsettled }) {
			return
		}
		draft := d.load.Next()
		select {
		case queues[draft.Wallet%len(queues)] <- draft:
		case <-stop.Done():
			return
		}
		if late := time.Now().Add(-catchUp); next.Before(late) {
			next = late
		}
		next = next.Add(time.Duration(rng.ExpFloat64() / d.o.Rate * float64(time.Second)))
		timer.Reset(time.Until(next))
	}
}

// sendTo submits what comes for node i. When the load ends, drafts that still
// wait are dropped: nobody has heard of them.
func (d *demo) sendTo(up, stop context.Context, i int, queue <-chan shapes.Draft) error {
	backend := d.net.nodes[i].Backend()
	for draft := range queue {
		if stop.Err() != nil {
			continue
		}
		tx := d.load.Sign(draft, d.nonces[draft.Wallet])
		d.watch.submitting(tx.ID(), i, tx.Size(), time.Now())
		within, cancel := context.WithTimeout(up, submitWithin)
		status, err := backend.Submit(within, tx.Bytes())
		cancel()
		if err == nil && status.State.Ended() {
			err = fmt.Errorf("accepted, but already %s: %s", status.State, status.Reason)
		}
		d.watch.submitted(tx.ID(), err)
		switch {
		case err == nil:
			d.nonces[draft.Wallet]++
			d.log.accepted(tx.ID())
		case up.Err() != nil:
			return errors.New("a node failed during the load")
		default:
			d.log.refused(err)
		}
	}
	return nil
}

// maxRechecked bounds what is asked of every node at the end. The totals of
// the watch cover the rest.
const maxRechecked = 10_000

// sendLog remembers what the nodes answered: the latest maxRechecked accepted
// transactions, and the first refusal, which usually explains the others.
type sendLog struct {
	mu      sync.Mutex // guards what follows
	ids     []wire.TxID
	next    int // the oldest, once ids is full
	refusal error
}

func (l *sendLog) accepted(id wire.TxID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ids) < maxRechecked {
		l.ids = append(l.ids, id)
		return
	}
	l.ids[l.next] = id
	l.next = (l.next + 1) % maxRechecked
}

func (l *sendLog) refused(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refusal == nil {
		l.refusal = err
	}
}

func (l *sendLog) firstRefusal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refusal
}

// latest returns what is remembered, in no order.
func (l *sendLog) latest() []wire.TxID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.ids)
}
