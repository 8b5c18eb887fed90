package fetch

import (
	"errors"
	"fmt"
	"time"
)

// Config bounds what peers can make us keep and wait for.
type Config struct {
	// OtherDelay is how long peers that are not preferred are left aside after they
	// announced a transaction.
	OtherDelay time.Duration
	// MinExpiry and MaxExpiry bound the time that a peer has to answer a request.
	// Between them it is two round trips and ExpirySlack.
	MinExpiry, MaxExpiry, ExpirySlack time.Duration
	// MaxAnnounced is how many transactions one peer may have announced that are
	// still wanted or remembered; what it announces beyond is not kept.
	MaxAnnounced int
	// MaxTotal is how many announcements are kept in all. When they are that many,
	// the peer that has most of them loses its newest, for a peer that has fewer.
	MaxTotal int
	// Each is the time that a peer has beyond that for each transaction that it was asked
	// for before and has not answered: they come one after the other.
	Each time.Duration
	// MinRate is how many bytes a second have to come from a peer for requests to wait for
	// longer than that, each until nothing came for its first time again, and MaxPatience at
	// most: on a slow line, large transactions take their time. It bounds how long a peer can
	// hold what it does not give by giving other things.
	MinRate     int
	MaxPatience time.Duration
	// MaxInFlight is how many transactions one peer may be asked for at a time. Where more
	// wait for a place, they are asked for when Refill places are free: a request for each
	// that comes free would be a request too many.
	MaxInFlight, Refill int
	// MaxRequest is how many ids one Request has at most.
	MaxRequest int
}

// DefaultConfig suits transactions of some hundred bytes. MaxAnnounced takes what
// one exchange of overlay/recon tells.
func DefaultConfig() Config {
	return Config{
		OtherDelay:   100 * time.Millisecond,
		MinExpiry:    100 * time.Millisecond,
		MaxExpiry:    800 * time.Millisecond,
		ExpirySlack:  150 * time.Millisecond,
		MaxAnnounced: 10_000,
		MaxTotal:     100_000,                // some 30 MB
		Each:         500 * time.Microsecond, // 4 Mbit/s
		MinRate:      32 << 10,
		MaxPatience:  4 * time.Second, // 1 MiB, the most of one answer, at 2 Mbit/s
		MaxInFlight:  2048,
		Refill:       512,
		MaxRequest:   256,
	}
}

// Validate reports every reason why the configuration cannot be used.
func (c Config) Validate() error {
	var errs []error
	refuse := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("fetch: "+format, args...))
	}
	if c.OtherDelay < 0 {
		refuse("OtherDelay is %v, want >= 0", c.OtherDelay)
	}
	if c.MinExpiry <= 0 {
		refuse("MinExpiry is %v, want > 0", c.MinExpiry)
	}
	if c.MaxExpiry < c.MinExpiry {
		refuse("MaxExpiry is %v, want >= MinExpiry, which is %v", c.MaxExpiry, c.MinExpiry)
	}
	if c.ExpirySlack < 0 {
		refuse("ExpirySlack is %v, want >= 0", c.ExpirySlack)
	}
	if c.MaxAnnounced < 1 {
		refuse("MaxAnnounced is %d, want >= 1", c.MaxAnnounced)
	}
	if c.MaxTotal < c.MaxAnnounced {
		refuse("MaxTotal is %d, want >= MaxAnnounced, which is %d", c.MaxTotal, c.MaxAnnounced)
	}
	if c.MaxInFlight < 1 {
		refuse("MaxInFlight is %d, want >= 1", c.MaxInFlight)
	}
	if c.Each < 0 {
		refuse("Each is %v, want >= 0", c.Each)
	}
	if c.MinRate < 1 {
		refuse("MinRate is %d, want >= 1", c.MinRate)
	}
	if c.MaxPatience < c.MaxExpiry {
		refuse("MaxPatience is %v, want >= MaxExpiry, which is %v", c.MaxPatience, c.MaxExpiry)
	}
	if c.Refill < 1 || c.Refill > max(1, c.MaxInFlight) {
		refuse("Refill is %d, want 1 to MaxInFlight, which is %d", c.Refill, c.MaxInFlight)
	}
	if c.MaxRequest < 1 {
		refuse("MaxRequest is %d, want >= 1", c.MaxRequest)
	}
	return errors.Join(errs...)
}

// expiry is the time that a peer at this distance has for an answer.
func (c Config) expiry(rtt time.Duration) time.Duration {
	return min(c.MaxExpiry, max(c.MinExpiry, 2*rtt+c.ExpirySlack))
}
