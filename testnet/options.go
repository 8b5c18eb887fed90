package testnet

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// maxDemoNodes is what one process and one bit set hold.
const maxDemoNodes = 64

// DemoOptions say what Demo runs.
type DemoOptions struct {
	Nodes     int
	Producers int // how many of the nodes also make blocks, in turns

	// For is how long to run once the network is ready, load and drain
	// together; 0 means until the context ends. The load stops early enough
	// for what it sent to settle within For. The run ends later than For, by
	// at most Drain, when it does not.
	For   time.Duration
	Drain time.Duration // longest wait, after the load, for the last delivery and inclusion

	Rate float64       // transactions per second over the whole network, on average
	Slot time.Duration // one producer's turn

	Seed uint64 // of wallets, load and links; at most report.MaxSeed
	Dir  string // keeps the nodes' homes there, in an empty folder; "" is a temporary one

	// Progress, if not nil, is called about once a second and at each change
	// of phase, always from one goroutine. The network goes on meanwhile; the
	// figures wait.
	Progress func(Snapshot)
	Logger   *slog.Logger // of the nodes; nil discards

	// For tests: the last word on a node's configuration, and a system that
	// has only one loopback address.
	edit       func(i int, c *node.Config)
	oneAddress bool
}

// DefaultDemoOptions is the network of `grapevine demo`.
func DefaultDemoOptions() DemoOptions {
	return DemoOptions{
		Nodes:     7,
		Producers: 2,
		Drain:     20 * time.Second,
		Rate:      40,
		Slot:      time.Second,
		Seed:      1,
	}
}

// Validate says everything that is wrong with o.
func (o DemoOptions) Validate() error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.Nodes < 2 || o.Nodes > maxDemoNodes {
		refuse("Nodes is %d, want 2 to %d", o.Nodes, maxDemoNodes)
	}
	if o.Producers < 1 || o.Producers > o.Nodes {
		refuse("Producers is %d, want 1 to the number of nodes, %d", o.Producers, o.Nodes)
	}
	if o.For != 0 && o.For < minFor(o.Slot) {
		refuse("For is %v, want 0 or at least %v: what was sent has to reach a block", o.For, minFor(o.Slot))
	}
	if o.Drain <= 0 {
		refuse("Drain is %v, want more than 0", o.Drain)
	}
	if !(o.Rate > 0 && o.Rate <= 10_000) { // negated, so NaN fails too
		refuse("Rate is %v, want more than 0 and at most 10000 a second", o.Rate)
	}
	if o.Slot < 100*time.Millisecond || o.Slot > time.Hour || o.Slot%time.Millisecond != 0 {
		refuse("Slot is %v, want whole milliseconds from 100ms to 1h", o.Slot)
	}
	if o.Seed > report.MaxSeed {
		refuse("Seed is %d, want at most %d", o.Seed, uint64(report.MaxSeed))
	}
	return errors.Join(errs...)
}

// settle is how long before the end of For the load stops: a transaction of
// its last moment needs the slot it falls into to end, a block to be made and
// rebuilt everywhere, and a slot in reserve for a machine that is busy.
func settle(slot time.Duration) time.Duration { return 4 * slot }

// minFor leaves the load two slots.
func minFor(slot time.Duration) time.Duration { return settle(slot) + 2*slot }
