package store

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// failure remembers the first error of the disk. After it no write is believed:
// the write-ahead log may have lost its end, and pebble itself cannot go on.
type failure struct {
	done    chan struct{} // closed at the first error
	opened  atomic.Bool   // Open has returned: pebble's goroutines are on their own
	closing atomic.Bool   // Close was called: complaints are no news

	once  sync.Once
	first error // readable once done is closed
}

func (f *failure) set(err error) {
	f.once.Do(func() {
		f.first = fmt.Errorf("%w: %w", Failed, err)
		close(f.done)
	})
}

// err returns nil until the disk has failed.
func (f *failure) err() error {
	select {
	case <-f.done:
		return f.first
	default:
		return nil
	}
}

// Failing is closed once the disk has failed; Err then says how.
func (s *Store) Failing() <-chan struct{} { return s.failure.done }

// Err returns nil until the disk has failed, then an error that wraps Failed.
func (s *Store) Err() error { return s.failure.err() }

// diskFS is the file system that pebble writes to. Pebble answers a failed
// write by ending the process, for some files beyond any recovery. A daemon
// wants to say goodbye, and other nodes may live in the process; so the first
// failed write is noted, and whoever asked for it waits for ever. Open and the
// failures before it is done are untouched.
type diskFS struct {
	vfs.FS
	failure *failure
}

func (d diskFS) check(err error) {
	if err == nil || !d.failure.opened.Load() {
		return
	}
	d.failure.set(fmt.Errorf("%w; free space or replace the disk, then start again", err))
	select {}
}

func (d diskFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.wrap(d.FS.Create(name, c))
}

func (d diskFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.wrap(d.FS.ReuseForWrite(from, to, c))
}

func (d diskFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.wrap(d.FS.OpenReadWrite(name, c, opts...))
}

// OpenDir wraps too: folders are synced.
func (d diskFS) OpenDir(name string) (vfs.File, error) { return d.wrap(d.FS.OpenDir(name)) }

func (d diskFS) wrap(f vfs.File, err error) (vfs.File, error) {
	if d.check(err); err != nil {
		return nil, err
	}
	return diskFile{f, d}, nil
}

func (d diskFS) Rename(from, to string) error {
	err := d.FS.Rename(from, to)
	d.check(err)
	return err
}

// Unwrap lets pebble find the file system below.
func (d diskFS) Unwrap() vfs.FS { return d.FS }

type diskFile struct {
	vfs.File
	disk diskFS
}

func (f diskFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.disk.check(err)
	return n, err
}

func (f diskFile) WriteAt(p []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(p, at)
	f.disk.check(err)
	return n, err
}

func (f diskFile) Sync() error {
	err := f.File.Sync()
	f.disk.check(err)
	return err
}

func (f diskFile) SyncData() error {
	err := f.File.SyncData()
	f.disk.check(err)
	return err
}

func (f diskFile) SyncTo(length int64) (full bool, err error) {
	full, err = f.File.SyncTo(length)
	f.disk.check(err)
	return full, err
}

// dataCorruption ends the use of a store in which a table's checksum is wrong.
func (s *Store) dataCorruption(info pebble.DataCorruptionInfo) {
	if !s.failure.closing.Load() {
		s.failure.set(refuse(s.dir, Damaged, fmt.Errorf("%s: %w", info.Path, info.Details)))
	}
}

// backgroundError ends the use of a store whose tables cannot be written: the
// buffers would fill and every writer would wait for ever.
func (s *Store) backgroundError(err error) {
	if !s.failure.closing.Load() && !errors.Is(err, pebble.ErrCancelledCompaction) {
		s.failure.set(err)
	}
}

// quietLogger passes pebble's complaints on, not its chatter.
type quietLogger struct{ s *Store }

func (quietLogger) Infof(string, ...any) {}

func (l quietLogger) Errorf(format string, args ...any) {
	if !l.s.failure.closing.Load() {
		l.s.logger.Error("database", "path", l.s.dir, "err", fmt.Sprintf(format, args...))
	}
}

// Fatalf must not return, nor end the process, for the reasons of diskFS.
func (l quietLogger) Fatalf(format string, args ...any) {
	if !l.s.failure.opened.Load() {
		panic(fmt.Sprintf(format, args...)) // openDB recovers
	}
	l.s.failure.set(fmt.Errorf(format, args...))
	select {}
}
