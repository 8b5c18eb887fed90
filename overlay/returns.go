package overlay

import (
	"sync"
	"time"
)

// returnsEvery bounds how often peers that come back wake those who dial in vain: who comes
// and goes all the time must not have us dial others all the time.
const returnsEvery = 10 * time.Second

// returns tells that a peer came back that had been here before. What kept us from it may
// have kept us from others too: when a partition heals, everybody behind it can be dialled.
type returns struct {
	mu   sync.Mutex // guards what follows
	last time.Time
	wake chan struct{} // closed at the next return
}

func newReturns() *returns { return &returns{wake: make(chan struct{})} }

// next is closed when a peer comes back after now.
func (r *returns) next() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wake
}

// note is told of a peer that came back.
func (r *returns) note(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.last.IsZero() && now.Sub(r.last) < returnsEvery {
		return
	}
	r.last = now
	close(r.wake)
	r.wake = make(chan struct{})
}
