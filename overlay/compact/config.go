package compact

import (
	"errors"
	"fmt"
	"reflect"
	"time"
)

// Config bounds what a [Machine] keeps and how long it waits. Every field has to be
// positive.
type Config struct {
	// Links bounds the links, each of which costs some 200 bytes for each block.
	Links int
	// Blocks bounds the blocks kept, under way and to be served. Each costs its body, up to
	// wire.MaxBlock, some 80 bytes for each transaction of it, and its parity or, once somebody
	// wanted a chunk that was not given here, all chunks, 1.3 times the body.
	Blocks int
	// Keep is how long a block that is whole is kept to be served.
	Keep time.Duration
	// GiveUp ends the attempt to put a block together of which nothing came for so long, and
	// Longest any; sync takes over. So does one of which, after GiveUp, less than LeastRate
	// bytes a second have come since its header did.
	GiveUp    time.Duration
	Longest   time.Duration
	LeastRate int

	// EarlyBytes bounds, for each link, the memory of frames that came before their block's header,
	// and EarlyFor how long they wait: they travel on other streams than the header, and
	// need no check, so that they overtake it.
	EarlyBytes int
	EarlyFor   time.Duration

	// Owing is how long, at least, what was asked of a link may take before it counts as
	// withheld, where other blocks make this one forgotten. Where blocks are far enough apart,
	// it may take Keep.
	Owing time.Duration

	// FillWait is how long a node that was sent a header along a mesh link waits for the
	// transactions that come with it before it asks.
	FillWait time.Duration
	// Parallel is how many peers are asked at once after the first round.
	Parallel int
	// Rounds bounds how often what is missing is asked for.
	Rounds int
	// Served bounds the bytes of transactions that one link is given of one block, in
	// times the block's size: more than once, because lines fail.
	Served int

	// MinWait is the least wait for an answer, whatever the round trip: a peer may be
	// busy with the same block.
	MinWait time.Duration
	// Rate, in bytes per second, is what a peer has to give at least, on top of its round
	// trip: a fair share of a slow uplink that many ask at once.
	Rate int
	// Stall is how long no chunk has to come before transactions are asked for instead.
	Stall time.Duration

	// Pipeline is how many chunks are asked of one link at once. More keeps a long line
	// full, and makes a busy one busier.
	Pipeline int
	// Hurry and ChunkRate, in bytes per second, say when chunks are asked of others
	// instead: after the round trip, Hurry and the time for their bytes. Too soon costs
	// chunks that nobody needs, too late makes the last chunk wait for who withholds it.
	Hurry     time.Duration
	ChunkRate int
	// HaveEvery is how often others are told which chunks are new here: each telling
	// costs about 100 bytes a link, and each wait is added to a hop.
	HaveEvery time.Duration
	// SeedQuiet is how long a producer that gave each chunk away once keeps to itself
	// that it has them all, lest everybody asks it for everything.
	SeedQuiet time.Duration
}

// DefaultConfig returns the configuration of a public node.
func DefaultConfig() Config {
	return Config{
		Links:      MaxLinks,
		Blocks:     8,
		Keep:       30 * time.Second,
		GiveUp:     10 * time.Second,
		Longest:    time.Minute, // 4 MiB at 0.6 Mbit/s
		LeastRate:  16 << 10,    // eight blocks at once over 1 Mbit/s
		EarlyBytes: 512 << 10,
		EarlyFor:   2 * time.Second,
		Owing:      5 * time.Second,
		FillWait:   25 * time.Millisecond,
		Parallel:   3,
		Rounds:     8,
		Served:     2,
		MinWait:    100 * time.Millisecond,
		Rate:       256 << 10,
		Stall:      time.Second,
		Pipeline:   4,
		Hurry:      100 * time.Millisecond,
		ChunkRate:  512 << 10,
		HaveEvery:  25 * time.Millisecond,
		SeedQuiet:  500 * time.Millisecond,
	}
}

// Validate reports every field that is not positive, and bounds that do not fit.
func (c Config) Validate() error {
	var errs []error
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		if v.Field(i).Int() <= 0 {
			errs = append(errs, fmt.Errorf("compact: %s is %v, want > 0", v.Type().Field(i).Name, v.Field(i)))
		}
	}
	if c.Links > MaxLinks {
		errs = append(errs, fmt.Errorf("compact: Links is %d, want at most %d", c.Links, MaxLinks))
	}
	if c.Longest < c.GiveUp {
		errs = append(errs, fmt.Errorf("compact: Longest is %v, want at least GiveUp=%v", c.Longest, c.GiveUp))
	}
	if c.EarlyBytes < MaxChunk+frameHead+MaxProof*bytesOfHash+earlyHead {
		errs = append(errs, fmt.Errorf("compact: EarlyBytes is %d, want room for a chunk", c.EarlyBytes))
	}
	return errors.Join(errs...)
}

// MaxLinks bounds the links of one machine: what a byte can count.
const MaxLinks = 255
