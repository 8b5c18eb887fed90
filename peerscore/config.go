package peerscore

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Config says what offences weigh and when they are forgotten. Weights and
// thresholds share one unit, that of GossipSub's score.
type Config struct {
	// HalfLife is the time in which guilt halves.
	HalfLife time.Duration

	// Weights has the guilt that each offence adds, indexed by Offence;
	// index 0 is unused and must be 0.
	Weights [Offences + 1]float64

	// Stands is the guilt from which on a proven offence stands: topics then add
	// nothing to the peer's score, whatever it does.
	Stands float64

	// MeritWeight is what one merit adds, MaxMerit what all can, and MeritHalfLife
	// the time in which merit halves. Merit counts while nothing is held against
	// the peer.
	MeritWeight, MaxMerit float64
	MeritHalfLife         time.Duration

	// HoodFactor is how much more an offence weighs, at most, where other peers
	// of the same prefix offended before; MaxHood bounds what is held against a
	// prefix.
	HoodFactor, MaxHood float64

	// BansPerAddress is the number of banned peers of one address, at a time,
	// from which on the address is banned.
	BansPerAddress int

	// BanAt is the guilt at which a proven offence bans its peer.
	BanAt float64

	// MaxInferred is the guilt beyond which offences that are not proven add
	// nothing. Below the graylist threshold's, so that no stall of our own,
	// however long, cuts off our peers.
	MaxInferred float64

	// BanFor is how long such a ban holds. It should outlast many half-lives:
	// a peer that returns from a ban should start with a clean record.
	BanFor time.Duration

	// Negligible is the guilt that counts as none. It is what makes a score
	// reach 0 instead of approaching it.
	Negligible float64

	// MaxRecords bounds the peers whose guilt is remembered.
	MaxRecords int

	// MaxBans bounds the bans in force, of peers and of prefixes each.
	MaxBans int

	// Thresholds are the router's; the Book needs them so that a ban is
	// certain to be below them.
	Thresholds Thresholds

	// TopicScoreCap bounds what the router's topics can add to a peer's score.
	TopicScoreCap float64
}

// DefaultConfig returns the configuration of a public node.
//
// A single invalid message leaves room for a mistake of ours in reading the
// rules, ten in a half-life do not: that is where Lighthouse and Prysm put
// their bans (5 to 6 bad answers) with a margin for guests that forward
// without looking. Half-life and ban are Lighthouse's.
func DefaultConfig() Config {
	return Config{
		HalfLife: 10 * time.Minute,
		Weights: [Offences + 1]float64{
			InvalidTx:     20,
			InvalidHeader: 50,
			InvalidBlock:  50,
			BadFrame:      40,
			LyingAnswer:   40,
			BudgetBreach:  10,
			WrongNetwork:  40,
			Avoidable:     1,
			BrokenPromise: 2,
			SlowReader:    2,
		},
		Stands: 1,
		// A hundred useful firsts are all that counts: enough to prefer an old
		// friend to a stranger, and half of what topics give.
		MeritWeight: 0.1, MaxMerit: 10, MeritHalfLife: 6 * time.Hour,
		// From a neighbourhood that already earned a ban, a third of the faults
		// is enough.
		HoodFactor: 3, MaxHood: 1000,
		BansPerAddress: 5, // Lighthouse's
		BanAt:          200,
		MaxInferred:    80,
		BanFor:         12 * time.Hour,
		Negligible:     0.01,
		MaxRecords:     1 << 15,
		MaxBans:        1 << 14,
		Thresholds:     DefaultThresholds(),
		// Topics and merits together stay below what silence costs (see Lookout),
		// which stays above the Gossip threshold.
		TopicScoreCap: 20,
	}
}

// Validate reports every reason why the configuration cannot be used.
func (c Config) Validate() error {
	var errs []error
	refuse := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("peerscore: "+format, args...))
	}
	if c.HalfLife < time.Second { // shorter ones cost the arithmetic its precision over the years
		refuse("HalfLife is %v, want >= 1s", c.HalfLife)
	}
	if c.Weights[0] != 0 {
		refuse("Weights[0] is %v, want 0", c.Weights[0])
	}
	for o := Offence(1); o.valid(); o++ {
		if !positive(c.Weights[o]) {
			refuse("the weight of %v is %v, want a number > 0", o, c.Weights[o])
		}
	}
	for _, x := range []struct {
		name  string
		value float64
	}{
		{"Stands", c.Stands},
		{"MeritWeight", c.MeritWeight},
		{"MaxMerit", c.MaxMerit},
		{"MaxHood", c.MaxHood},
	} {
		if !positive(x.value) {
			refuse("%s is %v, want a number > 0", x.name, x.value)
		}
	}
	if c.MeritHalfLife < time.Second {
		refuse("MeritHalfLife is %v, want >= 1s", c.MeritHalfLife)
	}
	if !(c.HoodFactor >= 1) || math.IsInf(c.HoodFactor, 1) {
		refuse("HoodFactor is %v, want a number >= 1", c.HoodFactor)
	}
	if c.BansPerAddress < 1 {
		refuse("BansPerAddress is %d, want >= 1", c.BansPerAddress)
	}
	if !positive(c.BanAt) {
		refuse("BanAt is %v, want a number > 0", c.BanAt)
	}
	if !positive(c.MaxInferred) || !(c.MaxInferred < -c.Thresholds.Graylist) {
		refuse("MaxInferred is %v, want a number > 0 and below what the Graylist threshold takes", c.MaxInferred)
	}
	if c.BanFor < time.Second {
		refuse("BanFor is %v, want >= 1s", c.BanFor)
	}
	if !positive(c.Negligible) || c.Negligible >= c.BanAt {
		refuse("Negligible is %v, want a number > 0 and below BanAt", c.Negligible)
	}
	if c.MaxRecords < 1 {
		refuse("MaxRecords is %d, want >= 1", c.MaxRecords)
	}
	if c.MaxBans < 1 {
		refuse("MaxBans is %d, want >= 1", c.MaxBans)
	}
	if !positive(c.TopicScoreCap) {
		refuse("TopicScoreCap is %v, want a number > 0 (0 would mean no cap)", c.TopicScoreCap)
	}
	if err := c.Thresholds.Validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// positive is false for NaN and infinity too.
func positive(x float64) bool { return x > 0 && !math.IsInf(x, 1) }
