package overlay

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/time/rate"
)

// budget is what one peer may cost us. It outlives the peer's connections, so that
// reconnecting refills nothing.
type budget struct {
	txBytes    *rate.Limiter // gossip bytes: beyond, the stream is read later
	blockBytes *rate.Limiter
	bombs      *rate.Limiter // frames of elements that only cost us
	requests   *rate.Limiter // requests to us
	txs        *admission    // gossip messages: beyond, they are shed
	blocks     *admission    //
	asks       *rate.Limiter // our requests to it
	served     *rate.Limiter // bytes of blocks in our answers: beyond, they come more slowly
	pulled     *rate.Limiter // bytes of gossip that it asked for: beyond, it is not given
	unknown    *rate.Limiter // ids that it asked for and that are not here
	members    *rate.Limiter // frames of membership, and KiB of them: beyond, they are read later
	avoidable  *rate.Limiter // messages that fixed rules refuse
	frames     *rate.Limiter // of parts of blocks: beyond, they are read later
	sessions   *rate.Limiter // of reconciliation that it began: each has all of the pool looked at

	mu      sync.Mutex // guards what follows
	serving map[protocol.ID]int
}

func newBudget(l Limits) *budget {
	return &budget{
		txBytes:    rate.NewLimiter(rate.Limit(l.BytesPerSecond), l.BytesBurst),
		blockBytes: rate.NewLimiter(rate.Limit(l.BytesPerSecond), l.BytesBurst),
		bombs:      perMinute(l.BombsPerMinute),
		requests:   rate.NewLimiter(rate.Limit(l.RequestsPerSecond), l.RequestsBurst),
		txs:        newAdmission(l.MessagesPerSecond, l.MessagesBurst, l),
		blocks:     newAdmission(l.BlockMessagesPerSecond, l.BlockMessagesBurst, l),
		// A margin below what we allow others: our own haste must not look like a flood.
		asks:      rate.NewLimiter(rate.Limit(l.RequestsPerSecond)/2, max(1, l.RequestsBurst/2)),
		served:    rate.NewLimiter(rate.Limit(l.ServedPerSecond), l.ServedBurst),
		pulled:    rate.NewLimiter(rate.Limit(l.PulledPerSecond), l.PulledBurst),
		unknown:   rate.NewLimiter(rate.Limit(l.UnknownPerSecond), l.UnknownBurst),
		members:   rate.NewLimiter(rate.Limit(l.MemberPerSecond), l.MemberBurst),
		avoidable: perMinute(l.AvoidablePerMinute),
		frames:    rate.NewLimiter(rate.Limit(l.PartsPerSecond), l.PartsBurst),
		sessions:  rate.NewLimiter(rate.Every(sessionsGap), sessionsBurst),
		serving:   make(map[protocol.ID]int),
	}
}

const (
	// sessionsGap is the pace at which a peer may begin sessions, in the mean. An honest one keeps a
	// session for minutes; while they fail it rests, each time twice as long up to reconPauseLine.
	sessionsGap = 5 * time.Second
	// sessionsBurst is how many it may begin at once, as one does whose links come and go.
	sessionsBurst = 10
)

// perMinute allows n a minute, all at once if need be.
func perMinute(n int) *rate.Limiter {
	return rate.NewLimiter(rate.Every(time.Minute/time.Duration(n)), n)
}

// waitFor takes n units from a limiter, however many that are, and waits until it has them.
func waitFor(ctx context.Context, l *rate.Limiter, n int) error {
	for n > 0 {
		step := min(n, l.Burst())
		if err := l.WaitN(ctx, step); err != nil {
			return err
		}
		n -= step
	}
	return nil
}

// acquire takes one of limit places for requests of a protocol. It never waits. The
// caller calls release once.
func (b *budget) acquire(id protocol.ID, limit int) (release func(), ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.serving[id] >= limit {
		return nil, false
	}
	b.serving[id]++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.serving[id]--
	}, true
}
