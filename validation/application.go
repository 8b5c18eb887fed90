package validation

import (
	"context"
	"math"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// TxTerms is what the body of a transaction says, as far as relaying it needs
// to know. Amounts are in the smallest unit.
type TxTerms struct {
	Sender    wire.Address // whose key signs
	Nonce     uint64
	Fee       uint64
	Spends    uint64 // fee and amount together; use SaturatingAdd
	ExpiresAt uint64 // unix milliseconds; 0 means never
}

// ExpiredAt reports whether a block with the given time, in unix milliseconds,
// is too late for the transaction. ExpiresAt itself is still in time.
func (t TxTerms) ExpiredAt(unixMillis uint64) bool {
	return t.ExpiresAt != 0 && unixMillis > t.ExpiresAt
}

// SaturatingAdd returns a + b, or the greatest uint64 where that overflows.
func SaturatingAdd(a, b uint64) uint64 {
	if b > math.MaxUint64-a {
		return math.MaxUint64
	}
	return a + b
}

// Road is the way on which a header reached us. It decides how old it may be.
type Road uint8

// The roads.
const (
	Gossip Road = iota // pushed to us as news
	Sync               // asked for; may be as old as the chain
	Own                // made here
)

// String returns the road's name in lower case.
func (r Road) String() string {
	switch r {
	case Gossip:
		return "gossip"
	case Sync:
		return "sync"
	case Own:
		return "own"
	}
	return "unknown road"
}

// Application is the chain that rides on the network: it knows what bodies mean
// and what the state at the head allows. It must be safe for concurrent use.
//
// Errors that are a [Fault] or a [Refusal] (wrapped or not) are believed; any
// other error, a panic and an answer of the wrong length are the application's
// own failure and become [Unavailable].
type Application interface {
	// DescribeTx says what the body of tx says. It must be a function of tx
	// alone. A wire.Malformed in its error is taken as BadEncoding.
	DescribeTx(tx *wire.Transaction) (TxTerms, error)

	// CheckTxs answers for each transaction on its own whether the state at the
	// head allows it: as many errors as transactions, nil for yes. A nonce that
	// is ahead of the head's is not the application's to refuse.
	CheckTxs(ctx context.Context, now time.Time, txs []CheckedTx) []error

	// CheckHeader checks turn, time, height and that the parent is known. The
	// signature is sound.
	CheckHeader(ctx context.Context, now time.Time, h *wire.HeaderBody, road Road) error
}
