package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// reopenFirst and reopenMost bound the pauses between two attempts to open
	// the files again. Space that comes back is to be found within seconds.
	reopenFirst = 50 * time.Millisecond
	reopenMost  = time.Second
	// maxAbandoned is how many databases may have failed and not come to their end,
	// as on a disk that does not answer: each keeps its goroutines and write buffers.
	maxAbandoned = 16
)

// Watch lets a caller of Run follow the disk. Any field may be nil; none may
// block for long.
type Watch struct {
	Failed   func(err error)          // writes are refused from now on; err wraps Failed
	Retried  func(err error)          // an attempt to open the files again did not succeed
	Reopened func(took time.Duration) // writes are taken again, that long after the failure
}

// Run opens the files again after each failure of the disk, until ctx ends; it
// then returns nil. While they are not open for writing everything that would
// write returns an error that wraps Failed; reading goes on but for a moment. An
// error means that the files are damaged, or that the disk failed too often for
// one process: what to do is in it. Damaged ones are set aside at the next opening, if the options
// say so.
func (s *Store) Run(ctx context.Context, w Watch) error {
	for {
		d := s.current.Load()
		if d == nil {
			return nil // closed
		}
		select {
		case <-ctx.Done():
			return nil
		case <-d.failure.done:
		}
		begun, err := time.Now(), d.failure.err()
		if errors.Is(err, Damaged) {
			if s.opt.Slot != nil {
				err = errors.Join(err, s.Condemn(err))
			}
			return err
		}
		if w.Failed != nil {
			w.Failed(err)
		}
		err = s.reopen(ctx, d, w)
		if err != nil || ctx.Err() != nil {
			return err
		}
		if w.Reopened != nil {
			w.Reopened(time.Since(begun))
		}
	}
}

// reopen puts another database in the place of old, which failed. It returns
// nil when that is done or ctx has ended.
func (s *Store) reopen(ctx context.Context, old *database, w Watch) error {
	select {
	case s.reopening <- struct{}{}:
		defer func() { <-s.reopening }()
	case <-ctx.Done():
		return nil
	}
	select {
	case <-old.failure.shutOut():
	case <-ctx.Done():
		return nil
	}
	for pause := reopenFirst; ; pause = min(2*pause, reopenMost) {
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		err := s.attempt(old)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, Closed):
			return nil
		case !errors.Is(err, Failed):
			return err
		}
		if w.Retried != nil {
			w.Retried(err)
		}
	}
}

// attempt is one try to replace old, whose files nobody changes any more.
func (s *Store) attempt(old *database) error {
	if err := s.probe(); err != nil {
		return fmt.Errorf("%w: try the disk: %w; free space on the disk, or replace it", Failed, err)
	}
	s.mu.Lock()
	s.down = fmt.Errorf("store %s: it is being opened again: %w", s.dir, old.failure.err())
	tooMany := s.abandoned >= maxAbandoned
	s.mu.Unlock()
	if tooMany {
		return fmt.Errorf("store %s: the disk failed %d times and does not answer; start the node again: nothing that it accepted is lost", s.dir, maxAbandoned)
	}
	if s.current.CompareAndSwap(old, nil) {
		_ = s.end(old) // its error is the failure that is known
	}
	d, err := s.open()
	if err != nil {
		s.mu.Lock()
		s.down = err
		s.mu.Unlock()
		return err
	}
	if !s.take(d) {
		return errors.Join(Closed, s.end(d))
	}
	return nil
}

// take makes d the current database, unless the store was closed meanwhile.
func (s *Store) take(d *database) bool {
	s.local.Lock()
	defer s.local.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.ended = d.ended
	s.current.Store(d)
	s.down = nil
	return true
}

// probe finds out whether the disk takes as much as opening the files may need:
// their log is written into a table then.
func (s *Store) probe() error {
	files, name := s.opt.FS, s.opt.FS.PathJoin(s.dir, probeName)
	size := s.buffer()
	if usage, err := files.GetDiskUsage(s.dir); err == nil && usage.AvailBytes < uint64(size) {
		return fmt.Errorf("%d bytes are free, want %d", usage.AvailBytes, size)
	}
	f, err := files.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	const piece = 64 << 10
	junk := make([]byte, piece) // zeros might take no space
	rand.NewChaCha8([32]byte{1}).Read(junk)
	for written := int64(0); written < size && err == nil; written += piece {
		_, err = f.Write(junk)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), files.Remove(name))
}

// Err returns nil while the store takes writes, then an error that wraps Failed
// until Run has opened it again.
func (s *Store) Err() error {
	d, err := s.enter()
	if err != nil {
		return err
	}
	defer d.leave()
	return d.failure.err()
}
