package mempool

import (
	"fmt"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Change is what a call did to the pool.
type Change struct {
	Added   []wire.TxID
	Removed []Removal // in the order in which they left
}

// Removal is one transaction that left.
type Removal struct {
	ID     wire.TxID
	Tx     validation.CheckedTx
	Reason Reason

	// By is the transaction that took its place, if it was Replaced, or for
	// which it made room, if it was Evicted or Displaced; else zero, as it is for
	// what Trim evicts.
	By wire.TxID

	// Waited says of an Evicted one that it was behind a nonce that was missing:
	// it could not be confirmed anyway, and may come again when it can.
	Waited bool
}

// Reason says why a transaction left the pool.
type Reason uint8

// The reasons.
const (
	Included  Reason = iota + 1 // a block confirmed it
	Replaced                    // another with its sender and nonce pays more
	Expired                     // its time is over
	Evicted                     // better-paying ones needed the room
	Invalid                     // after a block its nonce is used or its sender cannot pay
	Displaced                   // its sender may have no more, and one of lower nonce came or came back
)

// String is the reason's name in events and metrics.
func (r Reason) String() string {
	switch r {
	case Included:
		return "included"
	case Replaced:
		return "replaced"
	case Expired:
		return "expired"
	case Evicted:
		return "evicted"
	case Invalid:
		return "invalid"
	case Displaced:
		return "displaced"
	default:
		return fmt.Sprintf("reason(%d)", uint8(r))
	}
}

func (c *Change) removed(tx validation.CheckedTx, why Reason, by wire.TxID) {
	c.Removed = append(c.Removed, Removal{ID: tx.ID(), Tx: tx, Reason: why, By: by})
}
