package local

import (
	"errors"
	"fmt"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// MaxNodes is what one machine carries at most, and one bit set holds.
const MaxNodes = 64

// Plan says what a new network is made of.
type Plan struct {
	Nodes     int
	Producers int           // how many of the nodes make blocks, in turns; the first ones
	Slot      time.Duration // one producer's turn
	Dials     int           // connections that each node opens, where there are enough others
	Seed      uint64        // of who dials whom
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
	return errors.Join(errs...)
}
