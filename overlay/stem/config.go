package stem

import (
	"errors"
	"fmt"
	"time"
)

// Config is how long stems are, and what peers can make us keep.
type Config struct {
	// Relays is how many peers are handed transactions in one epoch. Two make the graph of
	// stems 4-regular, which spies learn least from (Dandelion++, section 4).
	Relays int
	// Publish is the chance that in an epoch this node publishes what others hand to it.
	// A stem has 1/Publish relays in the mean.
	Publish float64
	// Epoch is how long relays and the decision to publish last, in the mean. Each epoch is
	// within a quarter of it, so that nodes do not change theirs together.
	Epoch time.Duration
	// Embargo is the mean time after which a held transaction is published.
	Embargo time.Duration
	// MaxHeld and MaxBytes bound what peers handed in and is held, MaxPerPeer what one of
	// them did. MaxOwn bounds what is held of our own, which competes with none of that.
	MaxHeld, MaxBytes, MaxPerPeer, MaxOwn int
}

// DefaultConfig has stems of five relays. The embargo follows from that: with k relays, d
// between two of them and a chance e that some embargo ends before the stem does, its mean
// is -k(k-1)d / 2 ln(1-e) (Dandelion++, section 5.4), which is 17 s for k = 5, d = 175 ms
// and e = 0.1. Ten minutes are the paper's epoch.
func DefaultConfig() Config {
	return Config{
		Relays: 2, Publish: 0.2, Epoch: 10 * time.Minute, Embargo: 17 * time.Second,
		MaxHeld: 1024, MaxBytes: 4 << 20, MaxPerPeer: 64, MaxOwn: 256,
	}
}

// Validate reports every reason why the configuration cannot be used.
func (c Config) Validate() error {
	var errs []error
	refuse := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("stem: "+format, args...))
	}
	if c.Relays < 1 {
		refuse("Relays is %d, want >= 1", c.Relays)
	}
	if !(c.Publish > 0 && c.Publish <= 1) {
		refuse("Publish is %v, want a chance above 0", c.Publish)
	}
	if c.Epoch <= 0 {
		refuse("Epoch is %v, want > 0", c.Epoch)
	}
	if c.Embargo <= 0 {
		refuse("Embargo is %v, want > 0", c.Embargo)
	}
	if c.MaxPerPeer < 1 {
		refuse("MaxPerPeer is %d, want >= 1", c.MaxPerPeer)
	}
	if c.MaxHeld < c.MaxPerPeer {
		refuse("MaxHeld is %d, want >= MaxPerPeer, which is %d", c.MaxHeld, c.MaxPerPeer)
	}
	if c.MaxOwn < 1 {
		refuse("MaxOwn is %d, want >= 1", c.MaxOwn)
	}
	if c.MaxBytes < 1 {
		refuse("MaxBytes is %d, want >= 1", c.MaxBytes)
	}
	return errors.Join(errs...)
}
