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

	// MaxBans bounds the bans in force.
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
		BanAt:         200,
		MaxInferred:   80,
		BanFor:        12 * time.Hour,
		Negligible:    0.01,
		MaxRecords:    1 << 15,
		MaxBans:       1 << 14,
		Thresholds:    DefaultThresholds(),
		TopicScoreCap: 40,
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
