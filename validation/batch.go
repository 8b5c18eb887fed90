package validation

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Arrival is the bytes of a transaction and the peer that sent them.
type Arrival struct {
	Raw  []byte
	From peerscore.PeerID
}

// TxResult is the answer to one transaction of several. As with [Checker.Tx],
// Checked is set beside an Err that comes from the application alone.
type TxResult struct {
	ID      wire.TxID // zero where encoding or terms are refused
	Checked CheckedTx
	Err     error
}

// Claim is what a transaction says of itself before anybody has looked whether
// its sender signed it. It may be a lie of whoever passed it on.
type Claim struct {
	ID    wire.TxID
	Size  int // as carried, in bytes
	Terms TxTerms
}

// Glance refuses what is not wanted whoever signed it, so that no signature has
// to be verified: as many errors as claims, nil for what is worth one. Only a
// [Refusal] (wrapped or not) refuses; whatever else it says is no reason to.
type Glance func(claims []Claim) []error

// Txs does what Tx does for each arrival, with the signatures verified in one
// batch and the application asked once. The answers are in the order of the
// arrivals.
func (c *Checker) Txs(ctx context.Context, now time.Time, arrivals []Arrival) []TxResult {
	results := c.VerifyTxs(now, arrivals, nil)
	c.AskTxs(ctx, now, results)
	return results
}

// VerifyTxs is the part of Txs that needs no application: what it finds no
// error in may be passed on. It keeps the bytes of the arrivals. Signatures are
// verified of what glance does not refuse (nil refuses nothing). Those of one
// peer stand together in the batch of signatures, so that the bad ones of a
// peer make as few others dearer as can be (see [wire.TxBatch]).
func (c *Checker) VerifyTxs(now time.Time, arrivals []Arrival, glance Glance) []TxResult {
	results := make([]TxResult, len(arrivals))
	toVerify := make([]int, 0, len(arrivals))
	for i, a := range arrivals {
		tx, err := c.txTerms(a.Raw)
		if err == nil {
			err = inTime(now, tx)
		}
		results[i].ID = tx.ID()
		if err != nil {
			results[i].Err = err
			continue
		}
		results[i].Checked = tx
		toVerify = append(toVerify, i)
	}
	if glance != nil && len(toVerify) > 0 {
		toVerify = glanced(results, toVerify, glance)
	}
	slices.SortStableFunc(toVerify, func(i, k int) int { return cmp.Compare(arrivals[i].From, arrivals[k].From) })
	batch := wire.NewTxBatch(c.network, len(toVerify))
	for _, i := range toVerify {
		batch.Add(results[i].Checked.terms.Sender, results[i].Checked.tx)
	}
	for k, ok := range batch.Verify() {
		if i := toVerify[k]; !ok {
			results[i] = TxResult{ID: results[i].ID, Err: badSignature(results[i].Checked)}
		}
	}
	return results
}

// glanced notes in results what glance refuses of those named, and returns the rest.
func glanced(results []TxResult, named []int, glance Glance) (rest []int) {
	claims := make([]Claim, len(named))
	for k, i := range named {
		claims[k] = results[i].Checked.Claim()
	}
	errs := glance(claims)
	for k, i := range named {
		var refusal Refusal
		if k < len(errs) && errors.As(errs[k], &refusal) && ConsequenceOf(errs[k]).Verdict == Ignore {
			results[i] = TxResult{ID: results[i].ID, Err: errs[k]}
			continue
		}
		rest = append(rest, i)
	}
	return rest
}

// AskTxs is the other part of Txs: it asks the application about those of
// results that have no error yet, once for all, and notes in them what it says.
func (c *Checker) AskTxs(ctx context.Context, now time.Time, results []TxResult) {
	txs := make([]CheckedTx, 0, len(results))
	toAsk := make([]int, 0, len(results))
	for i, r := range results {
		if r.Err == nil {
			txs = append(txs, r.Checked)
			toAsk = append(toAsk, i)
		}
	}
	if len(txs) == 0 {
		return
	}
	for k, err := range c.app.checkTxs(ctx, now, txs) {
		results[toAsk[k]].Err = err
	}
}
