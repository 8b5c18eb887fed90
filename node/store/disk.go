package store

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// enter admits a use of the database; leave ends it.
func (s *Store) enter() error {
	s.gate.RLock()
	if s.closed {
		s.gate.RUnlock()
		return fmt.Errorf("store %s: %w", s.dir, Closed)
	}
	return nil
}

func (s *Store) leave() { s.gate.RUnlock() }

// write applies b and returns when it is on disk. On error nothing in b may be
// believed to be there.
func (s *Store) write(b *pebble.Batch) error { return s.writeThen(b, func() {}) }

// writeThen is write, and calls applied exactly once: as soon as b can be read,
// which is before it is on disk, or on failure.
func (s *Store) writeThen(b *pebble.Batch, applied func()) error {
	applied = sync.OnceFunc(applied)
	defer applied()
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.failure.err(); err != nil {
		return err
	}
	// The database never returns from some failures of its disk, so the wait
	// for it must be one that can be given up.
	begun := time.Now()
	done := make(chan error, 1)
	go func() { done <- s.apply(b, applied) }()
	select {
	case err := <-done:
		if err != nil {
			s.failure.set(err)
		}
		s.synced(time.Since(begun))
		// A failure that another writer met meanwhile leaves this one in doubt.
		return s.failure.err()
	case <-s.failure.done:
		return s.failure.err()
	}
}

func (s *Store) apply(b *pebble.Batch, applied func()) (err error) {
	defer func() {
		if p := recover(); p != nil { // pebble's way to report some failures
			err = fmt.Errorf("%v", p)
		}
	}()
	number, err := s.mark.apply(s.db, b)
	if err != nil {
		return err
	}
	applied()
	if err := b.SyncWait(); err != nil {
		return err
	}
	if err := s.mark.synced(number); err != nil {
		return err
	}
	return b.Close()
}

// get returns a copy of the value of key, or NotFound.
func (s *Store) get(key []byte) ([]byte, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, NotFound
	} else if err != nil {
		return nil, s.readError(err)
	}
	v = append([]byte(nil), v...)
	return v, closer.Close()
}

// scan calls f for every key in [from, to) until it returns an error. The
// slices are valid during the call only.
func (s *Store) scan(from, to []byte, f func(key, value []byte) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return s.readError(err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var v []byte
		if v, err = it.ValueAndErr(); err != nil {
			err = s.readError(err)
		} else {
			err = f(it.Key(), v)
		}
	}
	if bad := it.Error(); bad != nil {
		err = errors.Join(err, s.readError(bad))
	}
	return errors.Join(err, it.Close())
}

func (s *Store) readError(err error) error {
	if pebble.IsCorruptionError(err) {
		return refuse(s.dir, Damaged, err)
	}
	return fmt.Errorf("read store %s: %w", s.dir, err)
}
