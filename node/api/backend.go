package api

import (
	"context"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Submitter takes transactions.
type Submitter interface {
	// Submit judges raw and keeps it durably before it returns nil. The bytes are
	// the backend's from then on. Errors carry wire.Malformed,
	// validation.Fault, validation.Refusal or a [Failure]. The same bytes again
	// are no error: the answer is what became of them.
	Submit(ctx context.Context, raw []byte) (TxStatus, error)
	// SubmitPrivately is Submit for a transaction that peers are not to learn the
	// origin of: it is published later, and by somebody else if all goes well.
	SubmitPrivately(ctx context.Context, raw []byte) (TxStatus, error)
}

// ChainReader answers about the chain. What is not there is [ErrNotFound].
type ChainReader interface {
	TxStatus(ctx context.Context, id wire.TxID) (TxStatus, error)
	Account(ctx context.Context, a wire.Address) (Account, error)
	Head(ctx context.Context) (Head, error)
	BlockByID(ctx context.Context, id wire.BlockID) (StoredBlock, error)
	Evidence(ctx context.Context) ([]Equivocation, error)            // oldest first
	ProducerFaults(ctx context.Context) ([]ProducerFault, error)     // oldest first
	BlockAt(ctx context.Context, height uint64) (StoredBlock, error) // of the best chain
}

// NodeReader answers about the node itself.
type NodeReader interface {
	Status(ctx context.Context) (Status, error)
	Peers(ctx context.Context) ([]Peer, error)
	Members(ctx context.Context) (Members, error)
	Mempool(ctx context.Context) (Mempool, error)
	Fees(ctx context.Context) (Fees, error)
}

// Events is the source of the event stream. [Feed] is one.
type Events interface {
	// Subscribe begins after the given place, or now if it is nil.
	Subscribe(after *Cursor) Subscription
}

// Subscription is one reader's walk along the events. It is used by one
// goroutine. It must not slow down the others: a reader that falls behind gets a
// gap event.
type Subscription interface {
	// Next waits for the next event. Its only error is that of ctx.
	Next(ctx context.Context) (Event, error)
	// Cursor is the place after the last event that Next returned.
	Cursor() Cursor
	Close()
}

// Backend is what the server serves. It is safe for concurrent use.
type Backend interface {
	Submitter
	ChainReader
	NodeReader
	Warden
	Events
}

// StoredBlock is a block and what the node knows about it.
type StoredBlock struct {
	Block   *wire.Block
	Best    bool   // on the best chain
	Final   bool   // never rolled back
	Arrived uint64 // unix milliseconds, 0 if not known
	Journey *Journey
}
