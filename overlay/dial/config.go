package dial

import (
	"errors"
	"fmt"
	"time"
)

// Config is the policy of a [Keeper]. Start from [DefaultConfig].
type Config struct {
	// Outbound is how many links to keep that we chose ourselves. With 0 nobody is
	// dialled.
	Outbound int
	// PerGroup is how many of them may lead into one group. A test network on one
	// machine needs as many as Outbound.
	PerGroup int
	// Least is how many links to have even if they lead into few groups: a network
	// in one data centre has one only, and would fall apart.
	Least int
	// AnchorSlots of the Outbound are kept for anchors while there are anchors to
	// try.
	AnchorSlots int
	// AtOnce is how many dials may be under way, those that drag on not counted.
	AtOnce int
	// Drags is the time after which a dial no longer keeps another from starting.
	Drags time.Duration
	// FeelerEvery is the mean time between two trials of an address that nothing
	// but the book's health needs, once the outbound slots are filled or nobody fits
	// those that are left.
	FeelerEvery time.Duration
	// BackoffMin is the pause after the first failure, doubled with each further
	// one up to BackoffMax; each is varied by a quarter to either side, so that
	// nodes that failed together do not return together.
	BackoffMin, BackoffMax time.Duration
	// BootstrapAfter is how long a node with an address book and without a link
	// tries without the bootstrap peers, from its start or since it lost its last
	// one: they learn who starts, and know whom to lie to.
	BootstrapAfter time.Duration
	// AllowPrivate takes addresses that are not public, for networks that are not.
	AllowPrivate bool
}

// DefaultConfig is the policy for the public network.
func DefaultConfig() Config {
	return Config{
		Outbound:    10,          // Bitcoin Core: 8 full relay and 2 for blocks only
		PerGroup:    1,           // Bitcoin Core
		Least:       4,           // a random graph of that degree hangs together; most of the slots still wait for other groups
		AnchorSlots: 4,           // Bitcoin Core has 2; four of ten leave the majority to chance, which keeps the graph random
		AtOnce:      4,           // the pace at which links come up before the first heartbeats; docs/figures/yardstick.md
		Drags:       time.Second, // the longest path on earth needs less for a handshake
		FeelerEvery: 2 * time.Minute,
		BackoffMin:  5 * time.Second, BackoffMax: 30 * time.Minute,
		BootstrapAfter: 5 * time.Second,
	}
}

// maxOutbound bounds Outbound: beyond, a node is a crawler.
const maxOutbound = 1024

// Validate lists everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	atLeast := func(name string, have, least int) {
		if have < least || have > maxOutbound {
			errs = append(errs, fmt.Errorf("%s is %d, want %d to %d", name, have, least, maxOutbound))
		}
	}
	atLeast("Outbound", c.Outbound, 0)
	atLeast("PerGroup", c.PerGroup, 1)
	atLeast("AnchorSlots", c.AnchorSlots, 0)
	atLeast("Least", c.Least, 0)
	atLeast("AtOnce", c.AtOnce, 1)
	if c.AnchorSlots > c.Outbound && c.Outbound > 0 {
		errs = append(errs, fmt.Errorf("AnchorSlots is %d, want at most Outbound, %d", c.AnchorSlots, c.Outbound))
	}
	positive := func(name string, have time.Duration) {
		if have <= 0 {
			errs = append(errs, fmt.Errorf("%s is %v, want > 0", name, have))
		}
	}
	positive("Drags", c.Drags)
	positive("FeelerEvery", c.FeelerEvery)
	positive("BackoffMin", c.BackoffMin)
	if c.BackoffMax < c.BackoffMin {
		errs = append(errs, fmt.Errorf("BackoffMax is %v, want at least BackoffMin, %v", c.BackoffMax, c.BackoffMin))
	}
	if c.BootstrapAfter < 0 {
		errs = append(errs, fmt.Errorf("BootstrapAfter is %v, want >= 0", c.BootstrapAfter))
	}
	return errors.Join(errs...)
}
