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
	SubmitRaw(ctx context.Context, raw []byte, how ...api.SubmitOption) (api.TxStatus, error)
	Account(ctx context.Context, address string) (api.Account, error)
}

// transfers signs a run of transactions of one account, with nonces counting
// up, and hands them to a node.
type transfers struct {
	node     submitter
	network  wire.NetworkID
	key      ed25519.PrivateKey
	address  string        // of key, as the node's network writes it
	first    wire.TxBody   // of the first transaction; the others differ in the nonce
	count    int           // how many, at least 1
	patience time.Duration // how long to try without any progress while the node is full or away
	private  bool          // whether to hide where they began
	accepted func()        // after each acceptance; from several goroutines; may be nil
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

// run sends all of them, a window at a time. It returns what became of each, in
// the order of nonces, also if it fails: then those with a state were accepted.
//
// A transaction whose answer got lost is sent again, byte for byte: the node
// answers the same bytes the same way, so none can be spent twice. After each
// window the node is asked how far it has got: in a mempool that is full for
// this account, one that came late can push out one that was accepted before.
func (t *transfers) run(ctx context.Context) ([]sentTx, error) {
	sent := make([]sentTx, t.count)
	pace := &pace{patience: t.patience, last: time.Now()}
	wait := firstWait
	for from := 0; from < t.count; {
		to := min(from+window, t.count)
		if err := t.sendWindow(ctx, pace, sent, from, to); err != nil {
			return sent, err
		}
		reached, err := t.reached(ctx, pace, from, to)
		switch {
		case err != nil:
			return sent, err
		case reached > from:
			from, wait = reached, firstWait
			pace.progress(time.Now())
			continue
		case pace.exhausted(time.Now()):
			return sent, &txError{sent[from].ID, sent[from].Nonce, errPushedOut}
		}
		if err := pause(ctx, wait); err != nil {
			return sent, err
		}
		wait = min(2*wait, maxWait)
	}
	return sent, nil
}

// errPushedOut is what remains to say when the node accepts and evicts in turn.
var errPushedOut = errors.New("the node evicts it again and again: its mempool is full")

// sendWindow submits the transactions [from, to) until the node has answered
// each.
func (t *transfers) sendWindow(ctx context.Context, pace *pace, sent []sentTx, from, to int) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := from; i < to; i++ {
		body := t.first
		body.Nonce += uint64(i)
		g.Go(func() error {
			tx := wire.SignTx(t.network, t.key, &body)
			sent[i].ID, sent[i].Nonce = tx.ID(), body.Nonce
			state, err := t.handOver(ctx, pace, tx)
			if err != nil {
				return &txError{tx.ID(), body.Nonce, err}
			}
			if sent[i].State == "" {
				pace.progress(time.Now())
				if t.accepted != nil {
					t.accepted()
				}
			}
			sent[i].State = state
			return nil
		})
	}
	return g.Wait()
}

// reached says up to which of [from, to) the node has them without a hole.
func (t *transfers) reached(ctx context.Context, pace *pace, from, to int) (int, error) {
	if to-from == 1 {
		return to, nil // alone it can push out none of ours
	}
	for wait := firstWait; ; wait = min(2*wait, maxWait) {
		account, err := t.node.Account(ctx, t.address)
		if err == nil {
			next := uint64(account.NextNonce)
			return int(max(t.first.Nonce+uint64(from), min(next, t.first.Nonce+uint64(to))) - t.first.Nonce), nil
		}
		if !passes(err) || pace.exhausted(time.Now()) {
			return from, err
		}
		if err := pause(ctx, wait); err != nil {
			return from, err
		}
	}
}

// handOver submits tx until the node has an answer that time does not change.
func (t *transfers) handOver(ctx context.Context, pace *pace, tx *wire.Transaction) (api.State, error) {
	for wait := firstWait; ; wait = min(2*wait, maxWait) {
		status, err := t.node.SubmitRaw(ctx, tx.Bytes(), publication(t.private)...)
		switch {
		case err == nil && (!status.State.Ended() || status.State == api.Evicted):
			return status.State, nil
		case err == nil: // it was accepted in an earlier life, which is over
			return "", fmt.Errorf("it is %s: %s", status.State, status.Reason)
		case !passes(err) || pace.exhausted(time.Now()):
			return "", err
		}
		if err := pause(ctx, wait); err != nil {
			return "", err
		}
	}
}

// pause waits, or less if ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
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
