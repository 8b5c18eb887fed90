package local

import (
	"errors"
	"fmt"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// MaxNodes is what one machine carries at most, and one bit set holds.
const MaxNodes = 64

// MaxAttackers is how many processes attack at most.
const MaxAttackers = 128

// Plan says what a new network is made of.
type Plan struct {
	Nodes     int
	Producers int           // how many of the nodes make blocks, in turns; the first ones
	Slot      time.Duration // one producer's turn
	Dials     int           // connections that each node opens, where there are enough others
	Transport string        // that they dial over, of package scenario; empty is both in turns
	Seed      uint64        // of who dials whom

	MaxBlockTxs int // that genesis allows in a block; zero is the default
	MempoolTxs  int // that each node holds at most; zero is a node's default
}

// DefaultPlan is the network of `grapevine testnet up`.
func DefaultPlan() Plan {
	return Plan{Nodes: 4, Producers: 2, Slot: time.Second, Dials: 3, Seed: 1}
}

// Validate says everything that is wrong with p.
func (p Plan) Validate() error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if p.Nodes < 1 || p.Nodes > MaxNodes {
		refuse("nodes is %d, want 1 to %d", p.Nodes, MaxNodes)
	}
	if p.Producers < 0 || p.Producers > p.Nodes {
		refuse("producers is %d, want 0 to the number of nodes, %d", p.Producers, p.Nodes)
	}
	if p.Slot < wire.MinSlot || p.Slot > wire.MaxSlot || p.Slot%time.Millisecond != 0 {
		refuse("slot is %v, want whole milliseconds from %v to %v", p.Slot, wire.MinSlot, wire.MaxSlot)
	}
	if p.Dials < 1 {
		refuse("dials is %d, want at least 1", p.Dials)
	}
	if p.MaxBlockTxs < 0 || p.MaxBlockTxs > wire.MaxBlockTxs {
		refuse("transactions in a block are %d, want 0 (the default) to %d", p.MaxBlockTxs, wire.MaxBlockTxs)
	}
	if p.MempoolTxs < 0 {
		refuse("transactions in a mempool are %d, want 0 (the default) or more", p.MempoolTxs)
	}
	return errors.Join(errs...)
}
