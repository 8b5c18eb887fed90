package validation

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Checker checks what comes from outside against the rules of one network and
// its application. It is safe for concurrent use.
type Checker struct {
	genesis *wire.Genesis // constant
	network wire.NetworkID
	app     hook
}

// NewChecker returns a Checker for the network of g. It keeps g, which nobody
// may change afterwards.
func NewChecker(g *wire.Genesis, app Application) (*Checker, error) {
	switch {
	case g == nil:
		return nil, errors.New("validation: new checker: no genesis")
	case app == nil:
		return nil, errors.New("validation: new checker: no application")
	}
	if err := g.Validate(); err != nil {
		return nil, fmt.Errorf("validation: new checker: %w", err)
	}
	return &Checker{genesis: g, network: g.ID(), app: hook{app}}, nil
}

// Tx checks the bytes of one transaction: encoding and size, terms, fee floor
// and expiry, signature, and last what the state at the head allows. It keeps
// raw. A Fault is the sender's. Where the error comes from the application
// alone, the CheckedTx is returned beside it: sound, but not for the pool.
func (c *Checker) Tx(ctx context.Context, now time.Time, raw []byte) (CheckedTx, error) {
	tx, err := c.txTerms(raw)
	if err == nil {
		err = inTime(now, tx)
	}
	if err == nil {
		err = c.signed(tx)
	}
	if err != nil {
		return CheckedTx{}, err
	}
	return tx, c.app.checkTxs(ctx, now, []CheckedTx{tx})[0]
}

// Sound checks all of a transaction that needs neither clock nor state:
// encoding, size, terms, fee floor and signature. It is for transactions that
// this node stored itself.
func (c *Checker) Sound(raw []byte) (CheckedTx, error) {
	tx, err := c.txTerms(raw)
	if err == nil {
		err = c.signed(tx)
	}
	if err != nil {
		return CheckedTx{}, err
	}
	return tx, nil
}

// StoredTx rebuilds the CheckedTx of a transaction that this node checked before
// it stored it: its signature is not verified again, its size, body and fee are
// looked at. An error means that the store is damaged, or that the rules are no
// longer those it was checked by, and blames nobody.
func (c *Checker) StoredTx(tx *wire.Transaction) (CheckedTx, error) {
	checked, err := c.describe(tx)
	if err != nil {
		return CheckedTx{}, fmt.Errorf("%w: stored transaction %s: %v", Unavailable, tx.ID(), err) //nolint:errorlint // our disk is no peer's Fault
	}
	return checked, nil
}

// txTerms decodes and checks all but time, signature and state.
func (c *Checker) txTerms(raw []byte) (CheckedTx, error) {
	tx, err := wire.DecodeTransaction(raw)
	if err != nil {
		return CheckedTx{}, decodeError("transaction", err)
	}
	return c.describe(tx)
}

// describe checks all of a decoded transaction but time, signature and state.
func (c *Checker) describe(tx *wire.Transaction) (CheckedTx, error) {
	if limit := c.genesis.Limits.MaxTxBytes; uint64(tx.Size()) > uint64(limit) {
		return CheckedTx{}, fmt.Errorf("%w: transaction of %d bytes, genesis allows %d: %w",
			BadEncoding, tx.Size(), limit, wire.TooLarge)
	}
	terms, err := c.app.describeTx(tx)
	if err != nil {
		return CheckedTx{}, err
	}
	if floor := c.feeFloor(tx.Size()); terms.Fee < floor {
		return CheckedTx{}, ByFixedRule(fmt.Errorf("%w: fee %d, want at least %d for %d bytes",
			FeeTooLow, terms.Fee, floor, tx.Size()))
	}
	return CheckedTx{tx: tx, terms: terms}, nil
}

// feeFloor is the least fee for a transaction of the given size.
func (c *Checker) feeFloor(size int) uint64 {
	over, floor := bits.Mul64(c.genesis.Limits.MinFeePerByte, uint64(size))
	if over != 0 {
		return 1<<64 - 1
	}
	return floor
}

// inTime refuses what has expired, however long ago: how long it was under way,
// and how much of that it waited for us to read it, nobody knows.
func inTime(now time.Time, tx CheckedTx) error {
	if millis := UnixMillis(now); tx.terms.ExpiredAt(millis) {
		return fmt.Errorf("%w: %d ms ago", Expired, millis-tx.terms.ExpiresAt)
	}
	return nil
}

func (c *Checker) signed(tx CheckedTx) error {
	if !wire.VerifyTx(c.network, tx.terms.Sender, tx.tx) {
		return badSignature(tx)
	}
	return nil
}

func badSignature(tx CheckedTx) error {
	return fmt.Errorf("%w: transaction %s is not signed by its sender for this network", BadSignature, tx.ID())
}

// UnixMillis returns t as the wire has it; times before 1970 are 0.
func UnixMillis(t time.Time) uint64 {
	return uint64(max(0, t.UnixMilli()))
}
