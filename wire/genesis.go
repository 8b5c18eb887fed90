package wire

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Genesis is the document that makes a network: its name, its first balances,
// who produces blocks when, and its limits. Two nodes with different ones
// refuse each other.
type Genesis struct {
	Network       string // for people, up to MaxNetworkName bytes
	AddressPrefix string // see ValidPrefix
	Time          uint64 // unix milliseconds at which slot 0 begins
	SlotMillis    uint32
	Allocations   []Allocation  // ascending by address
	Producers     []ProducerSet // ascending by height, the first at 0
	Rules         []RuleChange  // ascending by height and version, the first at height 0
	Limits        Limits
}

// Allocation is the balance of an account before the first block.
type Allocation struct {
	Address Address
	Amount  uint64
}

// ProducerSet names who produces blocks from a height on. They take turns in
// the order of the list.
type ProducerSet struct {
	Height    uint64
	Producers []Address
}

// RuleChange says which version block headers have from a height on.
type RuleChange struct {
	Height  uint64
	Version uint32
}

// Limits are what a network allows within the maxima of the format.
type Limits struct {
	MinFeePerByte        uint64 // smallest units per byte of a transaction as carried
	MaxTxBytes           uint32
	MaxBlockBytes        uint32 // of the encoded block, header included
	MaxBlockTxs          uint32
	ClockToleranceMillis uint32 // how far clocks of honest nodes may differ
}

// Bounds of what a genesis may ask for.
const (
	MinSlot           = 100 * time.Millisecond
	MaxSlot           = time.Hour
	MaxClockTolerance = time.Minute
	MaxSupply         = math.MaxInt64 // sums of two supplies still fit
	// MaxMinFeePerByte keeps the floor of the largest transaction far from
	// overflow.
	MaxMinFeePerByte = 1 << 40

	maxGenesisTime = 253_402_300_800_000 // year 10000, in unix milliseconds
)

// DefaultLimits returns the limits that a new genesis gets unless told
// otherwise.
func DefaultLimits() Limits {
	return Limits{
		MinFeePerByte:        1,
		MaxTxBytes:           MaxTx,
		MaxBlockBytes:        MaxBlock,
		MaxBlockTxs:          MaxBlockTxs,
		ClockToleranceMillis: 2_000,
	}
}

// ID is the network id: SHA-256 of the canonical form.
func (g *Genesis) ID() NetworkID { return sha256.Sum256(g.AppendTo(nil)) }

// ProducersAt returns the producers of blocks of that height, in the order of
// their turns. The caller must not change the list.
func (g *Genesis) ProducersAt(height uint64) []Address {
	var set []Address
	for i := range g.Producers {
		if g.Producers[i].Height > height {
			break
		}
		set = g.Producers[i].Producers
	}
	return set
}

// ProducerOf returns whose turn the slot is in a block of that height.
func (g *Genesis) ProducerOf(height, slot uint64) Address {
	set := g.ProducersAt(height)
	if len(set) == 0 {
		return Address{} // nobody's; not so in a valid genesis
	}
	return set[slot%uint64(len(set))]
}

// VersionAt returns the version that headers of that height must have.
func (g *Genesis) VersionAt(height uint64) uint32 {
	var version uint32
	for _, rule := range g.Rules {
		if rule.Height > height {
			break
		}
		version = rule.Version
	}
	return version
}

// SlotAt returns the slot that covers a time in unix milliseconds; ok is false
// before slot 0 began.
func (g *Genesis) SlotAt(unixMillis uint64) (slot uint64, ok bool) {
	if unixMillis < g.Time || g.SlotMillis == 0 {
		return 0, false
	}
	return (unixMillis - g.Time) / uint64(g.SlotMillis), true
}

// SlotStart returns when a slot begins, in unix milliseconds. Slots beyond the
// range of the clock, which a peer may name, begin at its end.
func (g *Genesis) SlotStart(slot uint64) uint64 {
	if g.SlotMillis != 0 && slot > (math.MaxUint64-g.Time)/uint64(g.SlotMillis) {
		return math.MaxUint64
	}
	return g.Time + slot*uint64(g.SlotMillis)
}

// faults collects what is wrong, up to a number that a person can read.
type faults struct {
	errs []error
	more int
}

const maxFaults = 50

func (f *faults) add(format string, args ...any) {
	if len(f.errs) >= maxFaults {
		f.more++
		return
	}
	f.errs = append(f.errs, fmt.Errorf(format, args...))
}

func (f *faults) join() error {
	if f.more > 0 {
		return errors.Join(append(f.errs, fmt.Errorf("and %d more", f.more))...)
	}
	return errors.Join(f.errs...)
}

// Validate reports everything that is wrong, each with the key it is under.
func (g *Genesis) Validate() error {
	var f faults
	if g.Network == "" || len(g.Network) > MaxNetworkName || !printable([]byte(g.Network)) {
		f.add("network is %q, want 1 to %d bytes of printable text", cut(g.Network), MaxNetworkName)
	}
	if !ValidPrefix(g.AddressPrefix) {
		f.add("address_prefix is %q, want a lower-case letter, then up to %d lower-case letters and digits", cut(g.AddressPrefix), MaxAddressPrefix-1)
	}
	if g.Time == 0 || g.Time >= maxGenesisTime {
		f.add("time is %d, want unix milliseconds above 0 and before the year 10000", g.Time)
	}
	if slot := millis(g.SlotMillis); slot < MinSlot || slot > MaxSlot {
		f.add("slot_millis is %d, want %d to %d", g.SlotMillis, MinSlot.Milliseconds(), MaxSlot.Milliseconds())
	}
	g.validateAllocations(&f)
	g.validateProducers(&f)
	g.validateRules(&f)
	g.Limits.validate(&f)
	return f.join()
}

func millis(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }

// cut keeps error texts short.
func cut(s string) string {
	if len(s) > MaxNetworkName {
		return s[:MaxNetworkName] + "…"
	}
	return s
}

func (g *Genesis) validateAllocations(f *faults) {
	if len(g.Allocations) > MaxAllocations {
		f.add("allocations has %d entries, want at most %d", len(g.Allocations), MaxAllocations)
	}
	var supply uint64
	over := false
	for i, a := range g.Allocations {
		switch {
		case a.Address.IsZero():
			f.add("allocations[%d].address is the zero key, which belongs to nobody", i)
		case a.Address.SmallOrder():
			f.add("allocations[%d].address is a key of small order, for which anybody can sign", i)
		}
		if a.Amount == 0 {
			f.add("allocations[%d].amount is 0, want at least 1", i)
		}
		if i > 0 {
			switch c := g.Allocations[i-1].Address.Compare(a.Address); {
			case c == 0:
				f.add("allocations[%d].address comes twice", i)
			case c > 0:
				f.add("allocations[%d] is out of order, want ascending order of the decoded keys", i)
			}
		}
		if over || a.Amount > MaxSupply-supply {
			over = true
			continue
		}
		supply += a.Amount
	}
	if over {
		f.add("allocations add up to more than %d", uint64(MaxSupply))
	}
}

func (g *Genesis) validateProducers(f *faults) {
	switch {
	case len(g.Producers) == 0:
		f.add("producers is empty, want at least one set")
	case len(g.Producers) > MaxProducerSets:
		f.add("producers has %d sets, want at most %d", len(g.Producers), MaxProducerSets)
	case g.Producers[0].Height != 0:
		f.add("producers[0].height is %d, want 0", g.Producers[0].Height)
	}
	for i, set := range g.Producers {
		if set.Height > maxJSONInteger {
			f.add("producers[%d].height is %d, want at most %d", i, set.Height, uint64(maxJSONInteger))
		}
		if i > 0 && set.Height <= g.Producers[i-1].Height {
			f.add("producers[%d].height is %d, want more than that of the set before", i, set.Height)
		}
		if n := len(set.Producers); n == 0 || n > MaxProducers {
			f.add("producers[%d].producers has %d keys, want 1 to %d", i, n, MaxProducers)
		}
		seen := make(map[Address]bool, min(len(set.Producers), MaxProducers))
		for j, p := range set.Producers {
			switch {
			case p.IsZero():
				f.add("producers[%d].producers[%d] is the zero key, which belongs to nobody", i, j)
			case p.SmallOrder():
				f.add("producers[%d].producers[%d] is a key of small order, for which anybody can sign", i, j)
			}
			if seen[p] {
				f.add("producers[%d].producers[%d] comes twice", i, j)
			}
			seen[p] = true
		}
	}
}

func (g *Genesis) validateRules(f *faults) {
	switch {
	case len(g.Rules) == 0:
		f.add("rules is empty, want at least the version at height 0")
	case len(g.Rules) > MaxRuleChanges:
		f.add("rules has %d changes, want at most %d", len(g.Rules), MaxRuleChanges)
	case g.Rules[0].Height != 0:
		f.add("rules[0].height is %d, want 0", g.Rules[0].Height)
	}
	for i, rule := range g.Rules {
		if rule.Height > maxJSONInteger {
			f.add("rules[%d].height is %d, want at most %d", i, rule.Height, uint64(maxJSONInteger))
		}
		if rule.Version == 0 {
			f.add("rules[%d].version is 0, want at least 1", i)
		}
		if i == 0 {
			continue
		}
		if before := g.Rules[i-1]; rule.Height <= before.Height || rule.Version <= before.Version {
			f.add("rules[%d] is version %d at height %d, want both above those of the change before", i, rule.Version, rule.Height)
		}
	}
}

func (l Limits) validate(f *faults) {
	if l.MinFeePerByte > MaxMinFeePerByte {
		f.add("limits.min_fee_per_byte is %d, want at most %d", l.MinFeePerByte, uint64(MaxMinFeePerByte))
	}
	if l.MaxTxBytes < MinTx || l.MaxTxBytes > MaxTx {
		f.add("limits.max_tx_bytes is %d, want %d to %d", l.MaxTxBytes, MinTx, MaxTx)
	}
	// A block that cannot hold one transaction would never empty the mempool.
	if least := MaxHeader + uint64(l.MaxTxBytes) + frameSlack; uint64(l.MaxBlockBytes) < least || l.MaxBlockBytes > MaxBlock {
		f.add("limits.max_block_bytes is %d, want %d (a header and max_tx_bytes) to %d", l.MaxBlockBytes, least, MaxBlock)
	}
	if l.MaxBlockTxs < 1 || l.MaxBlockTxs > MaxBlockTxs {
		f.add("limits.max_block_txs is %d, want 1 to %d", l.MaxBlockTxs, MaxBlockTxs)
	}
	if millis(l.ClockToleranceMillis) > MaxClockTolerance {
		f.add("limits.clock_tolerance_millis is %d, want at most %d", l.ClockToleranceMillis, MaxClockTolerance.Milliseconds())
	}
}

// Clone returns a deep copy.
func (g *Genesis) Clone() *Genesis {
	c := *g
	c.Allocations = slices.Clone(g.Allocations)
	c.Producers = slices.Clone(g.Producers)
	for i := range c.Producers {
		c.Producers[i].Producers = slices.Clone(c.Producers[i].Producers)
	}
	c.Rules = slices.Clone(g.Rules)
	return &c
}
