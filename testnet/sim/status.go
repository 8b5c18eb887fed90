package sim

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Phases of a run, in order.
const (
	Starting = "starting" // nodes come up and connect
	Settling = "settling" // nobody sends; idle cost is measured
	Loading  = "loading"
	Draining = "draining" // what is under way may arrive
	Stopping = "stopping"
)

// status is what a run lets be seen from outside of the bubble while it lasts.
// Safe for concurrent use.
type status struct {
	now       atomic.Int64 // virtual nanoseconds since the start
	published atomic.Int64
	delivered atomic.Int64

	mu       sync.Mutex // guards what follows
	name     string
	warnings []string
}

func (s *status) phase(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name = name
}

// warn notes what a reader of the report must know.
func (s *status) warn(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warnings = append(s.warnings, err.Error())
}

// followEvery is often enough for a progress bar and costs nothing.
const followEvery = 100 * time.Millisecond

// follow keeps the time until ctx ends: the bubble's clock cannot be read from
// outside.
func (s *status) follow(ctx context.Context) {
	began := time.Now()
	for Sleep(ctx, followEvery) {
		s.now.Store(int64(time.Since(began)))
	}
}

// read is how far the run is.
func (s *status) read() Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Progress{
		Phase: s.name, VirtualS: time.Duration(s.now.Load()).Seconds(),
		Published: int(s.published.Load()), Delivered: int(s.delivered.Load()),
	}
}
