package validation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// hook calls the application and makes sure that none of its failures looks
// like a peer's.
type hook struct{ app Application }

func (h hook) describeTx(tx *wire.Transaction) (terms TxTerms, err error) {
	defer recovered(&err)
	terms, err = h.app.DescribeTx(tx)
	if err != nil {
		var fault Fault
		if errors.As(err, &fault) {
			return TxTerms{}, hookError(err)
		}
		return TxTerms{}, decodeError("transaction body", err)
	}
	return terms, nil
}

// checkTxs returns one answer for each of txs, whatever the application does.
func (h hook) checkTxs(ctx context.Context, now time.Time, txs []CheckedTx) []error {
	errs, err := h.askTxs(ctx, now, txs)
	if err != nil {
		errs = make([]error, len(txs))
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	for i := range errs {
		errs[i] = hookError(errs[i])
	}
	return errs
}

func (h hook) askTxs(ctx context.Context, now time.Time, txs []CheckedTx) (errs []error, err error) {
	defer recovered(&err)
	if err := ctx.Err(); err != nil {
		return nil, hookError(err)
	}
	errs = h.app.CheckTxs(ctx, now, txs)
	if len(errs) != len(txs) {
		return nil, fmt.Errorf("%w: application gave %d answers for %d transactions", Unavailable, len(errs), len(txs))
	}
	return errs, nil
}

func (h hook) checkHeader(ctx context.Context, now time.Time, body *wire.HeaderBody, road Road) (err error) {
	defer recovered(&err)
	if err := ctx.Err(); err != nil {
		return hookError(err)
	}
	return hookError(h.app.CheckHeader(ctx, now, body, road))
}

// recovered turns a panic into an ordinary error. What was thrown is shown but
// not wrapped: a Fault that is thrown proves nothing.
func recovered(err *error) {
	if thrown := recover(); thrown != nil {
		*err = fmt.Errorf("%w: application panicked: %v", Unavailable, thrown)
	}
}
