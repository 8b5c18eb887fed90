package catchup

import (
	"errors"
	"fmt"
	"time"
)

// Config bounds what is under way, and says when a peer is given up.
type Config struct {
	// WindowBytes and WindowBlocks bound the blocks that were asked for and are not
	// in the chain yet, by the sizes that their headers say.
	WindowBytes, WindowBlocks int
	// MaxHeaders bounds the headers that are kept of blocks not in the chain.
	MaxHeaders int
	// HeadersAhead is how many of them are to be known of a branch before its blocks
	// are fetched; more are asked for when half of that is left.
	HeadersAhead int
	// ProbeHeaders are asked of every peer, to learn on which branch it is;
	// BatchHeaders of whoever is asked for more.
	ProbeHeaders, BatchHeaders int
	// MaxSources is how many peers are used at a time.
	MaxSources int
	// RequestsPerSource is how many requests for blocks one peer has at a time; one more
	// for blocks that another did not give.
	RequestsPerSource int
	// MinRequest and MaxRequest bound the bytes of blocks in one request, MaxBlocks
	// their number. A first block is asked for whatever its size.
	MinRequest, MaxRequest, MaxBlocks int
	// Share is how long a request should take, at the rate that was measured.
	Share time.Duration
	// AsksPerSecond and AsksBurst are how many requests a peer gets.
	AsksPerSecond, AsksBurst int
	// Patience is how long a peer may give nothing.
	Patience time.Duration
	// MinRate is in bytes a second: a peer that gives less, beyond Patience, loses the
	// request if there are others. It is more where others are much quicker.
	MinRate int
	// Rest is how long a peer is left alone that failed once; each time in a row twice
	// as long, up to MaxRest.
	Rest, MaxRest time.Duration
	// Pause is how long nothing is done after a failure of our own.
	Pause time.Duration
}

// DefaultConfig suits blocks from a few hundred bytes to the largest.
func DefaultConfig() Config {
	return Config{
		// Eight of the largest blocks, and small ones for some seconds.
		WindowBytes:       32 << 20,
		WindowBlocks:      4096,
		MaxHeaders:        96 << 10, // some 20 MB
		HeadersAhead:      4096,
		ProbeHeaders:      64,
		BatchHeaders:      1024,
		MaxSources:        16,
		RequestsPerSource: 2,
		MinRequest:        64 << 10,
		MaxRequest:        4 << 20,
		MaxBlocks:         512,
		Share:             500 * time.Millisecond,
		AsksPerSecond:     5,
		AsksBurst:         15,
		// With what the next peer then takes to begin, a source is replaced within two seconds.
		Patience: 1500 * time.Millisecond,
		MinRate:  64 << 10, // the tenth of a line of 5 Mbit/s
		Rest:     5 * time.Second,
		MaxRest:  10 * time.Minute,
		Pause:    5 * time.Second,
	}
}

// Validate reports every reason why the configuration cannot be used.
func (c Config) Validate() error {
	var errs []error
	for _, n := range []struct {
		name       string
		v, atLeast int
	}{
		{"WindowBytes", c.WindowBytes, c.MaxRequest},
		{"WindowBlocks", c.WindowBlocks, c.MaxBlocks},
		{"MaxHeaders", c.MaxHeaders, c.HeadersAhead + c.BatchHeaders},
		{"HeadersAhead", c.HeadersAhead, 2},
		{"ProbeHeaders", c.ProbeHeaders, 1},
		{"BatchHeaders", c.BatchHeaders, 1},
		{"MaxSources", c.MaxSources, 1},
		{"RequestsPerSource", c.RequestsPerSource, 1},
		{"MinRequest", c.MinRequest, 1},
		{"MaxRequest", c.MaxRequest, c.MinRequest},
		{"MaxBlocks", c.MaxBlocks, 1},
		{"AsksPerSecond", c.AsksPerSecond, 1},
		{"AsksBurst", c.AsksBurst, 1},
		{"MinRate", c.MinRate, 1},
	} {
		if n.v < n.atLeast {
			errs = append(errs, fmt.Errorf("catchup: %s is %d, want >= %d", n.name, n.v, n.atLeast))
		}
	}
	for _, d := range []struct {
		name       string
		v, atLeast time.Duration
	}{
		{"Share", c.Share, 1},
		{"Patience", c.Patience, 1},
		{"Rest", c.Rest, 1},
		{"MaxRest", c.MaxRest, c.Rest},
		{"Pause", c.Pause, 1},
	} {
		if d.v < d.atLeast {
			errs = append(errs, fmt.Errorf("catchup: %s is %v, want >= %v", d.name, d.v, d.atLeast))
		}
	}
	return errors.Join(errs...)
}
