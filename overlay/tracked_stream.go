package overlay

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// releaseTime is what pubsub gives each of its own writes.
const releaseTime = 30 * time.Second

// writeTime is what a write may take: that of the largest frame on a line of 1 Mbit/s.
const writeTime = 9 * time.Second

// writeSlack is how much longer a write may take, because the deadline of the one before
// serves for it too: over QUIC, setting one costs a third of what a small write does.
const writeSlack = time.Second

// trackedStream is an outbound stream that is forgotten when it ends.
type trackedStream struct {
	network.Stream
	to        peer.ID // constant, as what follows
	write     func(s network.Stream, p peer.ID, rpc []byte) (int, error)
	written   func(peer.ID)
	forget    func(network.Stream)
	sentry    *sentry    // nil: nothing is held back
	inventory *inventory // nil: nothing is left out

	// writing has one place, taken while a frame is written. No mutex: a write can wait
	// for long, and virtual time does not go on while somebody waits for a mutex.
	writing chan struct{}

	mu    sync.Mutex // guards what follows
	held  map[uint64][]byte
	until time.Time // the deadline of writes
}

// Write writes one RPC: pubsub never writes less or more at once. Some of its messages may
// be written later.
func (s *trackedStream) Write(b []byte) (int, error) {
	defer s.written(s.to)
	rest := s.inventory.trim(time.Now(), s.to, b)
	if s.sentry != nil {
		var held []heldBack
		rest, held = s.sentry.split(s.to, rest)
		for _, h := range held {
			s.keep(h)
		}
	}
	if len(rest) > 0 {
		s.writing <- struct{}{}
		defer func() { <-s.writing }()
		if n, err := s.write(s.Stream, s.to, rest); err != nil {
			return min(n, len(b)), err
		}
	}
	return len(b), nil
}

// SetWriteDeadline bounds what pubsub gives a write: a peer that reads nothing for so long
// holds a stream and its queue for nothing.
func (s *trackedStream) SetWriteDeadline(t time.Time) error {
	now := time.Now()
	if end := now.Add(writeTime + writeSlack); t.After(end) {
		t = end
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until.After(now.Add(writeTime)) && !s.until.After(t) {
		return nil
	}
	s.until = t
	return s.Stream.SetWriteDeadline(t)
}

// keep holds a frame back. The lookout bounds how many there are.
func (s *trackedStream) keep(h heldBack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held = make(map[uint64][]byte)
	}
	s.held[h.key] = h.frame
	time.AfterFunc(h.pause, func() { s.sentry.crew.spawn(func() { s.release(h.key) }) })
}

// release writes a frame that was held back, once.
func (s *trackedStream) release(key uint64) {
	s.mu.Lock()
	frame, ok := s.held[key]
	delete(s.held, key)
	s.mu.Unlock()
	if !ok {
		return
	}
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	_ = s.SetWriteDeadline(time.Now().Add(releaseTime))
	if _, err := s.Stream.Write(frame); err != nil {
		_ = s.Reset() // half a frame may be out
	}
}

// push writes a frame that is not the router's.
func (s *trackedStream) push(frame []byte) {
	defer s.written(s.to)
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	_ = s.SetWriteDeadline(time.Now().Add(releaseTime))
	if _, err := s.write(s.Stream, s.to, frame); err != nil {
		_ = s.Reset() // half a frame may be out
	}
}

// Reset ends the stream in both directions. (Close does not: pubsub's writer closes
// while its watcher still reads, and the watcher then resets.)
func (s *trackedStream) Reset() error {
	if s.sentry != nil {
		s.sentry.closed(s)
	}
	s.forget(s.Stream)
	return s.Stream.Reset()
}
