package local

import (
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// shown is what a run lets be seen while it lasts. Safe for concurrent use.
type shown struct {
	total time.Duration

	mu    sync.Mutex // guards what follows
	name  string
	ready time.Time // zero before Settling
}

func newShown(s *scenario.Scenario) *shown {
	return &shown{total: s.Settle + s.LoadFor() + s.Drain, name: Joining}
}

func (s *shown) phase(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.name = name; s.ready.IsZero() {
		s.ready = time.Now()
	}
}

// showEvery is often enough for a progress bar.
const showEvery = 200 * time.Millisecond

// follow tells progress until stop is called, which waits for the last word.
func (s *shown) follow(tell func(Progress), t *tally) (stop func()) {
	if tell == nil {
		return func() {}
	}
	done, told := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(told)
		tick := time.NewTicker(showEvery)
		defer tick.Stop()
		for {
			tell(s.read(t))
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	return func() {
		close(done)
		<-told
	}
}

func (s *shown) read(t *tally) Progress {
	s.mu.Lock()
	p := Progress{Phase: s.name, TotalS: s.total.Seconds()}
	if !s.ready.IsZero() {
		p.S = time.Since(s.ready).Seconds()
	}
	s.mu.Unlock()
	p.Published, p.Delivered = t.progress()
	return p
}
