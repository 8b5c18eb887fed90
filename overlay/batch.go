package overlay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
)

const (
	// batchEnough is what a batch under load waits for. Signatures are verified sixteen at
	// a time (see wire.TxBatch): more in a batch save next to nothing, so that nobody waits
	// for more. What is there already comes along, up to Limits.BatchTxs.
	batchEnough = 16

	// batchBytes ends a batch early: hashing a mebibyte takes as long as eighty signatures.
	batchBytes = 1 << 20

	// openBatches is how many batches may be anywhere between formed and taken. An
	// application that hangs fills them; then nothing more is verified until it moves.
	openBatches = 16

	// apartTxs is how many transactions of suspects may wait: nearly all that the sluice
	// lets through at a time. One core works them off in some 10 ms, so that two suspects
	// within their budgets of messages do not fill it; what finds it full is shed.
	apartTxs = 256
)

// txChecker is the part of a validation.Checker that a collector needs.
type txChecker interface {
	Sound(raw []byte) (validation.CheckedTx, error)
	VerifyTxs(now time.Time, arrivals []validation.Arrival, glance validation.Glance) []validation.TxResult
	AskTxs(ctx context.Context, now time.Time, results []validation.TxResult)
}

// collector gathers transactions that arrive at about the same time and has them checked
// together: a batch of signatures costs a fraction of as many single ones. An idle
// collector checks at once; under load it waits a moment for a batch to fill. Batches are
// checked side by side but taken in the order in which they came: transactions of one
// sender build on each other.
//
// A peer whose signature failed is a suspect for a time. What it sends is verified apart,
// one by one behind the backs of the batches, and nobody waits for it.
type collector struct {
	checker txChecker         // constant
	glance  validation.Glance // may be nil
	now     func() time.Time
	take    func(ctx context.Context, tx validation.CheckedTx, from peer.ID) error
	late    func(ctx context.Context, r validation.TxResult, from peer.ID) // what became of one that was verified apart; waits for no peer
	refused func(raw []byte, r validation.TxResult)                        // told of what VerifyTxs found an error in; may be nil
	size    int
	wait    time.Duration

	in    chan ticket
	apart chan validation.Arrival
	cores chan struct{} // batches verified at once
	open  chan struct{} // batches between formed and taken

	mu       sync.Mutex // guards what follows
	suspects validation.Suspects
}

// ticket is one transaction that waits for its answer.
type ticket struct {
	arrival validation.Arrival
	signed  chan validation.CheckedTx // buffered; see asked
	answer  chan validation.TxResult  // buffered, answered exactly once
}

// asked is what becomes of a transaction that was given to a collector.
type asked struct {
	// signed gives the transaction as soon as nothing that it says of itself is wrong and
	// before the application is asked, which may take its time. It may be passed on then.
	// There is nothing in it if there is a fault.
	signed <-chan validation.CheckedTx
	// answer gives the result, once the transaction is taken or refused.
	answer <-chan validation.TxResult
}

// errApart says that the transaction of a suspect was put aside, to be verified apart. It
// is a refusal that blames nobody; what becomes of the transaction is told to late.
var errApart = fmt.Errorf("%w: verified apart", validation.Unavailable)

// errApartFull is the errApart of what nobody verifies, since too much waits for that. It is
// shed, and comes back when pools are compared.
var errApartFull = fmt.Errorf("%w, had there been room", errApart)

func newCollector(l Limits, cores int, checker txChecker, glance validation.Glance, now func() time.Time,
	take func(context.Context, validation.CheckedTx, peer.ID) error,
	late func(context.Context, validation.TxResult, peer.ID),
) *collector {
	return &collector{
		checker: checker, glance: spotChecked(glance, rand.IntN), now: now, take: take, late: late, size: l.BatchTxs, wait: l.BatchWait,
		in: make(chan ticket), apart: make(chan validation.Arrival, apartTxs),
		cores: make(chan struct{}, cores), open: make(chan struct{}, openBatches),
	}
}

// ask has one transaction checked and taken. It fails if ctx ends first, or with errApart at
// once: who asks holds one of the workers that all peers share, and a suspect holds none.
func (c *collector) ask(ctx context.Context, raw []byte, from peer.ID) (asked, error) {
	arrival := validation.Arrival{Raw: raw, From: peerscore.PeerID(from)}
	if c.suspect(arrival.From) {
		select {
		case c.apart <- arrival:
			return asked{}, errApart
		default:
			return asked{}, errApartFull
		}
	}
	t := ticket{arrival, make(chan validation.CheckedTx, 1), make(chan validation.TxResult, 1)}
	select {
	case c.in <- t:
		return asked{t.signed, t.answer}, nil
	case <-ctx.Done():
		return asked{}, ctx.Err()
	}
}

// run forms batches until ctx ends, then waits for those that are being checked.
func (c *collector) run(ctx context.Context) {
	var apart sync.WaitGroup
	apart.Go(func() { c.runApart(ctx) })
	defer apart.Wait()
	defer func() {
		for range cap(c.open) {
			c.open <- struct{}{}
		}
	}()
	busy := false
	before := make(chan struct{}) // closed when the batch before is taken
	close(before)
	for {
		batch, ok := c.form(ctx, busy)
		if !ok {
			return
		}
		// Load shows as company: a transaction that came alone starts no wait.
		busy = len(batch) > 1
		if !occupy(ctx, c.open) {
			return
		}
		if !occupy(ctx, c.cores) {
			<-c.open
			return
		}
		turn, done := before, make(chan struct{})
		before = done
		go func() {
			defer func() { <-c.open }()
			defer close(done)
			c.settle(ctx, batch, turn)
		}()
	}
}

// occupy waits for one of the places, unless ctx ends first.
func occupy(ctx context.Context, places chan<- struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// form waits for a transaction and takes along what else is there; under load it waits a
// little for more. It fails when ctx ends.
func (c *collector) form(ctx context.Context, busy bool) (batch []ticket, ok bool) {
	bytes := 0
	add := func(t ticket) {
		batch = append(batch, t)
		bytes += len(t.arrival.Raw)
	}
	select {
	case t := <-c.in:
		add(t)
	case <-ctx.Done():
		return nil, false
	}
	var over <-chan time.Time // the end of the wait, once there is one
	for len(batch) < c.size && bytes < batchBytes {
		select {
		case t := <-c.in:
			add(t)
			continue
		default:
		}
		if !busy || len(batch) >= batchEnough {
			break
		}
		if over == nil {
			over = time.After(c.wait)
		}
		select {
		case t := <-c.in:
			add(t)
		case <-over:
			return batch, true
		case <-ctx.Done():
			return batch, true
		}
	}
	return batch, true
}

// settle checks a batch and, in its turn, takes and answers it. A panic of ours answers
// everybody with a refusal, which blames nobody.
func (c *collector) settle(ctx context.Context, batch []ticket, turn <-chan struct{}) {
	answered := 0
	defer func() {
		if r := recover(); r != nil {
			for _, t := range batch[answered:] {
				t.answer <- panicked(r)
			}
		}
	}()
	batch = c.setApart(batch)
	results := c.verify(batch)
	c.checker.AskTxs(ctx, c.now(), results)
	<-turn
	for i, t := range batch {
		t.answer <- c.taken(ctx, results[i], t.arrival.From)
		answered++
	}
}

// verify looks at all of a batch that needs no application, says so, and gives up the
// core.
func (c *collector) verify(batch []ticket) []validation.TxResult {
	defer func() { <-c.cores }()
	arrivals := make([]validation.Arrival, len(batch))
	for i, t := range batch {
		arrivals[i] = t.arrival
	}
	now := c.now()
	results := c.checker.VerifyTxs(now, arrivals, c.glance)
	c.checkExpired(arrivals, results, spotChecks)
	for i, t := range batch {
		if results[i].Err == nil {
			t.signed <- results[i].Checked
			continue
		}
		c.note(now, t.arrival.From, results[i].Err)
		call2(c.refused, t.arrival.Raw, results[i])
	}
	return results
}

// taken gives the pool what has no error so far.
func (c *collector) taken(ctx context.Context, r validation.TxResult, from peerscore.PeerID) validation.TxResult {
	if r.Err == nil {
		r.Err = c.take(ctx, r.Checked, peer.ID(from))
	}
	return r
}

func panicked(thrown any) validation.TxResult {
	return validation.TxResult{Err: fmt.Errorf("%w: panic while checking: %v", validation.Unavailable, thrown)}
}
