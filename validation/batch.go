package validation

import (
	"cmp"
	"context"
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
	Checked CheckedTx
	Err     error
}

// Txs does what Tx does for each arrival, with the signatures verified in one
// batch and the application asked once. The answers are in the order of the
// arrivals.
func (c *Checker) Txs(ctx context.Context, now time.Time, arrivals []Arrival) []TxResult {
	results := c.VerifyTxs(now, arrivals)
	c.AskTxs(ctx, now, results)
	return results
}

// VerifyTxs is the part of Txs that needs no application: what it finds no
// error in may be passed on. It keeps the bytes of the arrivals. Those of one
// peer stand together in the batch of signatures, so that the bad ones of a
// peer make as few others dearer as can be (see [wire.TxBatch]).
func (c *Checker) VerifyTxs(now time.Time, arrivals []Arrival) []TxResult {
	results := make([]TxResult, len(arrivals))
	toVerify := make([]int, 0, len(arrivals))
	for i, a := range arrivals {
		tx, err := c.txTerms(a.Raw)
		if err == nil {
			err = c.inTime(now, tx)
		}
		if err != nil {
			results[i].Err = err
			continue
		}
		results[i].Checked = tx
		toVerify = append(toVerify, i)
	}
	slices.SortStableFunc(toVerify, func(i, k int) int { return cmp.Compare(arrivals[i].From, arrivals[k].From) })
	batch := wire.NewTxBatch(c.network, len(toVerify))
	for _, i := range toVerify {
		batch.Add(results[i].Checked.terms.Sender, results[i].Checked.tx)
	}
	for k, ok := range batch.Verify() {
		if i := toVerify[k]; !ok {
			results[i] = TxResult{Err: badSignature(results[i].Checked)}
		}
	}
	return results
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
