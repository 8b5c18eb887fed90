package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/wire"
)

// window is how many transactions of one account are on their way to the node
// at once. It stays well below the gap in nonces that a mempool lets wait, so
// that the order in which they happen to arrive refuses none.
const window = 16

// Waits between two tries to hand over the same transaction.
const (
	firstWait = 20 * time.Millisecond
	maxWait   = time.Second
)

// codeNonceTooFar is the one refusal that is over in a moment for us only: the
// transactions with the nonces before are ours, and on their way.
const codeNonceTooFar = "nonce_too_far"

// submitter is what the wallet needs of a node.
type submitter interface {
	SubmitRaw(ctx context.Context, raw []byte) (api.TxStatus, error)
}

// transfers signs a run of transactions of one account, with nonces counting
// up, and hands them to a node. The zero hook is allowed.
type transfers struct {
	node     submitter
	network  wire.NetworkID
	key      ed25519.PrivateKey
	first    wire.TxBody   // of the first transaction; the others differ in the nonce
	count    int           // how many, at least 1
	patience time.Duration // how long to try without any progress while the node is full or away
	accepted func()        // after each acceptance; from several goroutines
}

// sentTx is one transaction and what the node answered.
type sentTx struct {
	ID    wire.TxID
	Nonce uint64
	State api.State // empty if the node never accepted it
}

// txError says which of several transactions the node would not take.
type txError struct {
	ID    wire.TxID
	Nonce uint64
	Err   error
}

func (e *txError) Error() string {
	return fmt.Sprintf("transaction %s (nonce %d): %v", e.ID, e.Nonce, e.Err)
}
func (e *txError) Unwrap() error { return e.Err }

// run sends all of them. It returns what became of each, in the order of
// nonces, also if it fails: then those with a state were accepted.
//
// A transaction whose answer got lost is sent again, byte for byte: the node
// answers the same bytes the same way, so none can be spent twice.
func (t *transfers) run(ctx context.Context) ([]sentTx, error) {
	sent := make([]sentTx, t.count)
	pace := &pace{patience: t.patience, last: time.Now()}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(window)
	for i := range sent {
		if ctx.Err() != nil {
			break
		}
		body := t.first
		body.Nonce += uint64(i)
		tx := wire.SignTx(t.network, t.key, &body)
		sent[i] = sentTx{ID: tx.ID(), Nonce: body.Nonce}
		g.Go(func() error {
			state, err := t.handOver(ctx, pace, tx)
			if err != nil {
				return &txError{tx.ID(), body.Nonce, err}
			}
			sent[i].State = state
			return nil
		})
	}
	return sent, g.Wait()
}

// handOver submits tx until the node has an answer that time does not change.
func (t *transfers) handOver(ctx context.Context, pace *pace, tx *wire.Transaction) (api.State, error) {
	for wait := firstWait; ; wait = min(2*wait, maxWait) {
		status, err := t.node.SubmitRaw(ctx, tx.Bytes())
		if err == nil {
			pace.progress(time.Now())
			if t.accepted != nil {
				t.accepted()
			}
			return status.State, nil
		}
		if !passes(err) || pace.exhausted(time.Now()) {
			return "", err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return "", ctx.Err()
		case <-timer.C:
		}
	}
}

// passes says whether a refusal may be over in a moment: the node is away or
// starting, its pool is full, or it asked us to go slower.
func passes(err error) bool {
	if errors.Is(err, api.ErrUnreachable) {
		return true
	}
	refusal := (*api.Error)(nil)
	return errors.As(err, &refusal) && (refusal.RetryAfter > 0 || refusal.Code == codeNonceTooFar)
}

// pace remembers when something last went forward. Safe for concurrent use.
type pace struct {
	patience time.Duration // constant

	mu   sync.Mutex // guards what follows
	last time.Time
}

func (p *pace) progress(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = now
}

func (p *pace) exhausted(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Sub(p.last) > p.patience
}
