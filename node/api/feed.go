package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
)

// maxFeed bounds a feed: at some hundred bytes an event, tens of megabytes.
const maxFeed = 1 << 18

// Feed keeps the last events in a ring that all subscriptions read, each at its
// own place. A subscription holds no events of its own, so a reader that never
// reads costs a few words and delays nobody. Safe for concurrent use.
type Feed struct {
	boot string // constant

	mu   sync.Mutex
	ring []Event
	next uint64        // the sequence number of the next event; the first is 1
	wake chan struct{} // closed and replaced by each Publish
}

var _ Events = (*Feed)(nil)

// NewFeed makes a feed that remembers the last size events.
func NewFeed(size int) (*Feed, error) {
	if size < 1 || size > maxFeed {
		return nil, fmt.Errorf("api: a feed of %d events: want 1 to %d", size, maxFeed)
	}
	var boot [bootLen / 2]byte
	_, _ = rand.Read(boot[:]) // never fails
	return &Feed{
		boot: hex.EncodeToString(boot[:]),
		ring: make([]Event, size),
		next: 1,
		wake: make(chan struct{}),
	}, nil
}

// Publish gives e its id and shows it to every subscription. It never waits for
// a reader. What e points to must not change afterwards.
func (f *Feed) Publish(e Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e.ID = Cursor{f.boot, f.next}.String()
	f.ring[f.next%uint64(len(f.ring))] = e
	f.next++
	close(f.wake)
	f.wake = make(chan struct{})
}

// Subscribe begins after the given place, or now if it is nil. A place of
// another run begins with a gap and then with the oldest event there is; a place
// that this run has not reached yet begins with a gap and then now.
func (f *Feed) Subscribe(after *Cursor) Subscription {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &feedReader{feed: f, at: f.next}
	switch {
	case after == nil:
	case after.Boot != f.boot:
		s.at = f.oldestLocked()
		s.gap = &Gap{Reason: "restarted"}
	case after.Seq >= f.next:
		s.gap = &Gap{Reason: "unknown_cursor"}
	default:
		s.at = after.Seq + 1
	}
	return s
}

func (f *Feed) oldestLocked() uint64 {
	if n := uint64(len(f.ring)); f.next > n {
		return f.next - n
	}
	return 1
}

// feedReader is one place in a feed.
type feedReader struct {
	feed *Feed
	gap  *Gap   // owed before the next event
	at   uint64 // the sequence number of the next event to give
}

// Next waits for the next event after this place.
func (s *feedReader) Next(ctx context.Context) (Event, error) {
	for {
		e, wake := s.take()
		if wake == nil {
			return e, nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

// take gives the next event, or the channel that closes when there is one.
func (s *feedReader) take() (Event, <-chan struct{}) {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if old := f.oldestLocked(); s.at < old {
		if s.gap == nil {
			s.gap = &Gap{Lost: old - s.at, Reason: "too_old"}
		}
		s.at = old
	}
	if s.gap != nil {
		e := Event{ID: s.Cursor().String(), Kind: GapKind, Gap: s.gap}
		if s.at < f.next {
			e.Time = f.ring[s.at%uint64(len(f.ring))].Time
		}
		s.gap = nil
		return e, nil
	}
	if s.at == f.next {
		return Event{}, f.wake
	}
	e := f.ring[s.at%uint64(len(f.ring))]
	s.at++
	return e, nil
}

// Cursor is the place after the last event that Next gave.
func (s *feedReader) Cursor() Cursor { return Cursor{s.feed.boot, s.at - 1} }

// Close has nothing to free.
func (s *feedReader) Close() {}
