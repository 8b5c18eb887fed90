package overlay

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// lullTime bounds how long transactions are kept off full lines for one header: it comes
	// in within a round trip or so and goes out within another.
	lullTime = 250 * time.Millisecond
	// lullRest is how many times as long as a lull no other begins for what peers send. Blocks
	// of every other second each find one, and whoever feigns blocks takes another sixth of the
	// time from transactions at most. Who passes a header on, which nobody feigns, rests from the last lull in
	// which that was so alone; who makes one, ownRest times as long.
	lullRest = 5
	ownRest  = 2
	// slowBar and idleBar are how long a peer begins no lull after one of its making that was for
	// nothing: for long if its frame took longer than a lull lasts, and else until the next block.
	slowBar = time.Minute
	idleBar = time.Second
	// maxBarred bounds the peers of which that is known: many meshes, since only who is in the
	// mesh begins a lull.
	maxBarred = 256
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
// and ends when it has been passed on, or of itself. Its zero value is ready for use.
type lull struct {
	mu      sync.Mutex // guards what follows
	coming  map[*incoming]struct{}
	passing bool          // a header is being passed on
	over    chan struct{} // nil while there is no lull
	timer   *time.Timer   // ends it
	began   time.Time
	by      peer.ID // whose frame it began for; of nobody for what is ours or passed on
	useful  bool    // a header was passed on in it
	last    spell
	served  spell // the last that was useful
	barred  map[peer.ID]time.Time
}

// incoming is a header that is being read or judged.
type incoming struct {
	from peer.ID
	read bool
}

// spell is a lull that is over.
type spell struct {
	ended  time.Time
	lasted time.Duration
}

// hear begins a lull for a header of which the first bytes have come. The caller calls done
// once all of it has.
func (l *lull) hear(from peer.ID) (done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.barred[from]) {
		return func() {}
	}
	return l.awaitLocked(from, l.last, lullRest)
}

// expect begins a lull for a header of ours that is to come.
func (l *lull) expect() {
	l.mu.Lock()
	defer l.mu.Unlock()
	time.AfterFunc(BlockLead, l.awaitLocked("", l.served, ownRest))
}

func (l *lull) awaitLocked(from peer.ID, since spell, rest time.Duration) (done func()) {
	a := &incoming{from: from}
	if l.coming == nil {
		l.coming = make(map[*incoming]struct{})
	}
	l.coming[a] = struct{}{}
	l.beginLocked(from, since, rest)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		a.read = true
		time.AfterFunc(lullJudging, func() { l.heard(a) })
	}
}

func (l *lull) heard(a *incoming) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.coming, a)
	if len(l.coming) == 0 && !l.passing {
		l.endLocked()
	}
}

// pass begins a lull, if there is none, for a header that is being passed on.
func (l *lull) pass() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passing = true
	l.beginLocked("", l.served, lullRest)
	l.useful = true
}

// passed ends it, even if further copies of the header are coming.
func (l *lull) passed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passing = false
	l.endLocked()
}

func (l *lull) beginLocked(from peer.ID, since spell, rest time.Duration) {
	now := time.Now()
	if l.over != nil || now.Sub(since.ended) < rest*since.lasted {
		return
	}
	over := make(chan struct{})
	l.over, l.began, l.by, l.useful = over, now, from, false
	l.timer = time.AfterFunc(lullTime, func() { l.expire(over) })
}

// expire ends a lull that has lasted as long as one may, whoever is still sending. What those
// send keeps up no later one.
func (l *lull) expire(over chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over != over {
		return
	}
	l.endLocked()
	for a := range l.coming {
		if !a.read {
			l.barLocked(a.from, slowBar)
		}
	}
	clear(l.coming)
}

func (l *lull) endLocked() {
	if l.over == nil {
		return
	}
	l.timer.Stop()
	now := time.Now()
	l.last = spell{now, min(now.Sub(l.began), lullTime)} // we may have been stopped in it
	if l.useful {
		l.served = l.last
	} else {
		l.barLocked(l.by, idleBar)
	}
	close(l.over)
	l.over = nil
}

// barLocked lets a peer begin no lull for a while.
func (l *lull) barLocked(p peer.ID, bar time.Duration) {
	if p == "" {
		return // ours
	}
	now := time.Now()
	maps.DeleteFunc(l.barred, func(_ peer.ID, end time.Time) bool { return !now.Before(end) })
	end, known := l.barred[p]
	if !known && len(l.barred) == maxBarred {
		return
	}
	if l.barred == nil {
		l.barred = make(map[peer.ID]time.Time)
	}
	if now.Add(bar).After(end) {
		l.barred[p] = now.Add(bar)
	}
}

// wait returns when there is no lull.
func (l *lull) wait(ctx context.Context) {
	l.mu.Lock()
	over := l.over
	l.mu.Unlock()
	if over == nil {
		return
	}
	select {
	case <-over:
	case <-ctx.Done():
	}
}
