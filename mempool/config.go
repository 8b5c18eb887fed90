package mempool

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Config bounds a Pool and sets its policy.
type Config struct {
	// MaxBytes bounds the sum of the sizes of the transactions as carried.
	// What the pool itself needs comes on top: some 400 bytes
	// for each.
	MaxBytes int

	// MaxCount bounds the number of transactions.
	MaxCount int

	// MaxPerSender bounds the transactions of one sender, executable and
	// waiting.
	MaxPerSender int

	// MaxWaiting bounds the waiting transactions that are let in, and
	// MaxWaitingBytes the sum of their sizes. More can come to wait when a
	// transaction before them leaves.
	MaxWaiting      int
	MaxWaitingBytes int

	// MaxNonceGap is how many nonces may be missing between what is
	// executable and a newcomer of the same sender.
	MaxNonceGap int

	// MinLife is how much time a newcomer that expires must have left: [MinSlots] of
	// the network's. What lives shorter promises a fee that nobody can call.
	MinLife time.Duration

	// ReplacePercent is by how many percent a fee must exceed the fee of the
	// transaction with the same sender and nonce that it replaces.
	ReplacePercent int

	// MaxSweep is how many transactions one call removes because their time is
	// over, or because room is short after others came back. Whoever holds a lock
	// meanwhile can let others have it between two calls.
	MaxSweep int

	// FloorHalfLife is the time in which the fee floor sinks to half, once
	// nothing is evicted any more. Where less than half of the pool is taken it is
	// half as long, and where less than a quarter is there is no floor.
	FloorHalfLife time.Duration
}

// MinSlots is how many slots MinLife should cover. It is zcashd's
// (TX_EXPIRING_SOON_THRESHOLD, in blocks): one for the way to a producer, and two who may
// take it, as one of them may be down.
const MinSlots = 3

// DefaultConfig returns the configuration of a public node, but for MinLife, which is
// the network's.
//
// The pool holds an hour of the load it is designed for: 128 MiB are 500,000
// ordinary transactions, of which MaxCount lets in what a block every few
// seconds confirms in that time. A sender may have more than a wallet ever
// needs and less than the tenth of a block; a chain's bookkeeping is linear in
// it. What waits gets an eighth of either bound. The gap is geth's bound on queued transactions of an account
// (legacypool AccountQueue) and bounds what one sender is let in to wait; the
// share of waiting ones lies near geth's too (GlobalQueue 1,024 beside
// GlobalSlots 5,120). The percentage is geth's (PriceBump) and lets every
// replacement pay for its own relay. The half-life bears the same proportion to
// the hour as Bitcoin Core's 12 hours (ROLLING_FEE_HALFLIFE) to the day or so
// in which full blocks empty its 300 MB.
// A sweep is a few milliseconds' work, with all that a node does for each that
// leaves: as long as it has a message wait anyway to verify it with others.
func DefaultConfig() Config {
	return Config{
		MaxBytes:        128 << 20,
		MaxCount:        200_000,
		MaxPerSender:    4096,
		MaxWaiting:      25_000,
		MaxWaitingBytes: 16 << 20,
		MaxNonceGap:     64,
		ReplacePercent:  10,
		MaxSweep:        1000,
		FloorHalfLife:   30 * time.Minute,
	}
}

// Validate reports every reason why the configuration cannot be used.
func (c Config) Validate() error {
	var errs []error
	refuse := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("mempool: "+format, args...))
	}
	if c.MaxBytes < wire.MaxTx {
		refuse("MaxBytes is %d, want room for one transaction, >= %d", c.MaxBytes, wire.MaxTx)
	}
	if c.MaxCount < 1 || c.MaxCount > math.MaxInt32 {
		refuse("MaxCount is %d, want 1 to %d", c.MaxCount, math.MaxInt32)
	}
	if c.MaxPerSender < 1 {
		refuse("MaxPerSender is %d, want >= 1", c.MaxPerSender)
	}
	if c.MaxWaiting < 0 {
		refuse("MaxWaiting is %d, want >= 0", c.MaxWaiting)
	}
	if c.MaxWaitingBytes < wire.MaxTx {
		refuse("MaxWaitingBytes is %d, want room for one transaction, >= %d", c.MaxWaitingBytes, wire.MaxTx)
	}
	if c.MaxNonceGap < 0 {
		refuse("MaxNonceGap is %d, want >= 0", c.MaxNonceGap)
	}
	if c.MinLife < 0 {
		refuse("MinLife is %v, want >= 0", c.MinLife)
	}
	if c.ReplacePercent < 1 || c.ReplacePercent > 1000 {
		refuse("ReplacePercent is %d, want 1 to 1000", c.ReplacePercent)
	}
	if c.MaxSweep < 1 {
		refuse("MaxSweep is %d, want >= 1", c.MaxSweep)
	}
	if c.FloorHalfLife < time.Second {
		refuse("FloorHalfLife is %v, want >= 1s", c.FloorHalfLife)
	}
	return errors.Join(errs...)
}
