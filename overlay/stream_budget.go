package overlay

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"golang.org/x/time/rate"
)

// streamBudgets bound the gossip streams that are opened on each connection. They end with
// it: a peer whose process dies and comes back opens its streams anew each time, and that is
// no attack. How often a peer may connect is the host's to bound.
type streamBudgets struct {
	burst int // constant

	mu    sync.Mutex // guards what follows
	conns map[string]*rate.Limiter
}

// streamRefill is the time in which a connection regains one stream. A router that finds
// its stream reset tries again four times, with pauses that double.
const streamRefill = 2 * time.Second

func newStreamBudgets(burst int) *streamBudgets {
	return &streamBudgets{burst: burst, conns: make(map[string]*rate.Limiter)}
}

// take takes one stream from the budget of a connection. A stream that is told of when its
// connection is closed already is nobody's fault: errGone.
func (b *streamBudgets) take(now time.Time, c network.Conn) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.conns[c.ID()]
	if l == nil {
		if c.IsClosed() {
			return errGone
		}
		l = rate.NewLimiter(rate.Every(streamRefill), b.burst)
		b.conns[c.ID()] = l
	}
	if !l.AllowN(now, 1) {
		return TooManyStreams
	}
	return nil
}

// forget is told of each connection that is closed.
func (b *streamBudgets) forget(c network.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, c.ID())
}
