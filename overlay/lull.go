package overlay

import (
	"context"
	"sync"
	"time"
)

const (
	// lullTime bounds how long transactions are kept off full lines for one header: it comes
	// in within a round trip or so and goes out within another.
	lullTime = 250 * time.Millisecond
	// lullRest is how many times as long as a lull no other begins for what peers send. Blocks
	// of every other second each find one, and whoever feigns blocks slows down transactions by
	// a sixth at most. For blocks of our own, ownRest is as many.
	lullRest = 5
	ownRest  = 2
	// lullJudging is for what a header waits for between coming in and going out.
	lullJudging = 20 * time.Millisecond
	// BlockLead is how long before a block of ours ExpectBlock is to be called: most of what is
	// on its way then has been acknowledged when the header comes.
	BlockLead = 100 * time.Millisecond
	// fullLine is how many messages wait for a line that is full: what is handed to it is sent
	// when what is on its way has been acknowledged, and a header behind that. A line with less
	// carries both.
	fullLine = 8
)

// lull is a time in which transactions are kept off lines that are full, so that a header
// finds room in the windows of its connections. It begins with the first bytes of the header
// and ends when it has been passed on.
type lull struct {
	mu      sync.Mutex    // guards what follows
	coming  int           // headers that are being read or judged
	passing bool          // one is being passed on
	over    chan struct{} // nil while there is no lull
	began   time.Time
	ended   time.Time
	lasted  time.Duration
}

// hear begins a lull for a header of which the first bytes have come. The caller calls done
// once all of it has.
func (l *lull) hear() (done func()) { return l.await(lullRest) }

func (l *lull) await(rest time.Duration) (done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.coming++
	l.beginLocked(rest)
	return func() { time.AfterFunc(lullJudging, l.heard) }
}

// expect begins a lull for a header of ours that is to come.
func (l *lull) expect() {
	time.AfterFunc(BlockLead, l.await(ownRest))
}

func (l *lull) heard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.coming--; l.coming == 0 && !l.passing {
		l.endLocked()
	}
}

// pass begins a lull, if there is none, for a header that is being passed on.
func (l *lull) pass() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passing = true
	l.beginLocked(lullRest)
}

// passed ends it, even if further copies of the header are coming.
func (l *lull) passed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passing = false
	l.endLocked()
}

func (l *lull) beginLocked(rest time.Duration) {
	now := time.Now()
	if l.over == nil && now.Sub(l.ended) >= rest*l.lasted {
		l.began, l.over = now, make(chan struct{})
	}
}

func (l *lull) endLocked() {
	if l.over == nil {
		return
	}
	l.ended = time.Now()
	l.lasted = min(l.ended.Sub(l.began), lullTime)
	close(l.over)
	l.over = nil
}

// wait returns when there is no lull.
func (l *lull) wait(ctx context.Context) {
	l.mu.Lock()
	over, left := l.over, lullTime-time.Since(l.began)
	l.mu.Unlock()
	if over == nil || left <= 0 {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
	case <-ctx.Done():
	}
}
