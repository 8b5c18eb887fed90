package recon

import (
	"errors"
	"fmt"
	"time"
)

// OpenGap is the pace at which a responder puts up with exchanges, in the mean;
// OpenBurst of them may come ahead of it.
const (
	OpenGap   = time.Second
	OpenBurst = 4
)

// MaxSmall is how many ids an exchange may tell, needed and offered together, without
// being a large one. Every peer that has them tells the same ids; so many cost
// less than the wait for the one place.
const MaxSmall = 64

const (
	// maxTold is the most ids that one exchange tells each way. What is left is told
	// by the next, which goes on from there: fetching takes longer.
	maxTold = 8192
	// maxVain is how often all that differs is told at the shortest interval while none of it is
	// taken: fetching may fail, and what was refused is agreed upon when it is told again.
	maxVain = 3
	// listWindow is how many frames of ids one All is answered with.
	listWindow = 8
	// maxJournal is the most changes of the set during one exchange.
	maxJournal = 1 << 14
	// maxMoved is how much of our set may change before what differs begins to be listed: more
	// than gossip brings in a round trip. What a rollback gives back, the peer may have too.
	maxMoved = 1024
	// maxGuess says by what factor, and guessMargin by how many, the symbols may
	// exceed what the first estimate needs before they count as undecodable, and by
	// how much an estimate may exceed what plain ids then show.
	maxGuess    = 4
	guessMargin = 64
	// hasteBurst is how many exchanges an initiator in a hurry opens ahead of the pace: half
	// of OpenBurst, since what is under way may bunch.
	hasteBurst = OpenBurst / 2
	// busyPause bounds how long, beside the pace, an initiator leaves alone who is busy.
	busyPause = 500 * time.Millisecond
	// maxAsking is how many initiators of a node ask for a large exchange at a time. All but
	// one of them ask in vain, and keep the places of those whom they ask meanwhile.
	maxAsking = 2
	// askFor is after how long others may ask as well: two round trips of the longest kind.
	askFor = 600 * time.Millisecond
	// largePoll is how often an initiator that needs the large place looks for it, or each
	// round trip if that is longer: an exchange takes some of them.
	largePoll = 100 * time.Millisecond
	// wantFor is for how long the place is left to those of our own who wanted it last: two of
	// their looks, and the answer to their Open.
	wantFor = time.Second
	// withheldMargin is how many needs may go unanswered, beside half of them: what
	// left the peer's set meanwhile.
	withheldMargin = 8
)

// Config says how often and how patiently to reconcile.
type Config struct {
	// MinInterval and MaxInterval bound the time between two exchanges, but for a
	// quarter of jitter: the shorter after an exchange that told us something, half
	// as long again after each that did not, or told what is told again and again and
	// never taken.
	MinInterval, MaxInterval time.Duration
	// Grace is how long an exchange waits, once it knows what differs, for what is
	// on its way by gossip already.
	Grace time.Duration
	// Answer is the time that a peer has for one frame, Exchange the time that an
	// exchange may take in all.
	Answer, Exchange time.Duration
	// MaxAge is when a session ends, for the next one to have fresh salts.
	MaxAge time.Duration
}

// DefaultConfig suits a mempool of 100,000 transactions over the Internet.
func DefaultConfig() Config {
	return Config{
		MinInterval: 2 * time.Second,
		MaxInterval: 8 * time.Second,
		Grace:       400 * time.Millisecond,
		Answer:      3 * time.Second,
		Exchange:    12 * time.Second,
		MaxAge:      10 * time.Minute,
	}
}

// Validate reports every reason why the configuration cannot be used.
func (c Config) Validate() error {
	var errs []error
	refuse := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("recon: "+format, args...))
	}
	if c.MinInterval < 2*OpenGap { // a margin over what a responder puts up with
		refuse("MinInterval is %v, want >= %v", c.MinInterval, 2*OpenGap)
	}
	if c.MaxInterval < c.MinInterval {
		refuse("MaxInterval is %v, want >= MinInterval, which is %v", c.MaxInterval, c.MinInterval)
	}
	if c.Grace < 0 {
		refuse("Grace is %v, want >= 0", c.Grace)
	}
	if c.Answer <= 0 {
		refuse("Answer is %v, want > 0", c.Answer)
	}
	if c.Exchange < c.Answer+c.Grace {
		refuse("Exchange is %v, want >= Answer and Grace together, which are %v", c.Exchange, c.Answer+c.Grace)
	}
	if c.MaxAge < c.MaxInterval {
		refuse("MaxAge is %v, want >= MaxInterval, which is %v", c.MaxAge, c.MaxInterval)
	}
	return errors.Join(errs...)
}
