package store

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// enter admits a use of the database that there is; its leave ends that.
func (s *Store) enter() (*database, error) {
	if d := s.current.Load(); d != nil && d.enter() {
		return d, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("store %s: %w", s.dir, Closed)
	}
	if s.down == nil { // it is about to be said
		return nil, fmt.Errorf("store %s: %w", s.dir, Failed)
	}
	return nil, s.down
}

// write applies b and returns when it is on disk. On error nothing in b may be
// believed to be there, nor to be absent.
func (s *Store) write(b *pebble.Batch) error { return s.writeThen(b, func() {}) }

// writeThen is write, and calls applied exactly once: as soon as b can be read,
// which is before it is on disk, or on failure.
func (s *Store) writeThen(b *pebble.Batch, applied func()) error {
	applied = sync.OnceFunc(applied)
	defer applied()
	d, err := s.enter()
	if err != nil {
		return err
	}
	defer d.leave()
	begun := time.Now()
	if err := d.write(b, applied); err != nil {
		return err
	}
	s.synced(time.Since(begun))
	return nil
}

// get returns a copy of the value of key, or NotFound.
func (s *Store) get(key []byte) ([]byte, error) {
	d, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer d.leave()
	return d.get(key)
}

// scan calls f for every key in [from, to) until it returns an error. The
// slices are valid during the call only.
func (s *Store) scan(from, to []byte, f func(key, value []byte) error) error {
	d, err := s.enter()
	if err != nil {
		return err
	}
	defer d.leave()
	return d.scan(from, to, f)
}

// Close ends all use of the store. It is safe to call twice.
func (s *Store) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	select {
	case s.reopening <- struct{}{}:
	case <-time.After(closeFailed): // a disk that does not answer
	}
	var err error
	if d := s.current.Swap(nil); d != nil {
		err = s.end(d)
	}
	s.cache.Unref()
	return errors.Join(err, s.lock.Close())
}
