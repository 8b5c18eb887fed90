package store

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// failure remembers the first error of the disk under a database. After it no
// write is believed: the write-ahead log may have lost its end, and pebble
// itself cannot go on.
type failure struct {
	done    chan struct{}         // closed at the first error
	opened  atomic.Bool           // opening is over: pebble's goroutines are on their own
	closing atomic.Bool           // it is being closed: complaints are no news
	fatal   atomic.Pointer[error] // what pebble gave up with while it was opened

	once  sync.Once
	first error // readable once done is closed

	fence sync.RWMutex // held for reading by whatever changes files; guards shut
	shut  bool
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

// shutOut returns a channel that is closed when nothing changes files through
// this database any more, whatever its goroutines attempt: another may open
// them then.
func (f *failure) shutOut() <-chan struct{} {
	shut := make(chan struct{})
	go func() {
		f.fence.Lock() // for as long as a disk that hangs lets the last one wait
		f.shut = true
		f.fence.Unlock()
		close(shut)
	}()
	return shut
}

// diskFS is the file system that pebble writes to. Pebble answers a failed
// write by ending the process, for some files beyond any recovery. A daemon
// wants to go on, and other nodes may live in the process; so the first failed
// write is noted, and whoever asked for it waits for ever. While a database is
// being opened errors are returned, since pebble then gives up in good order.
type diskFS struct {
	vfs.FS
	failure *failure
}

// change does what changes files, unless that is over.
func (d diskFS) change(do func() error) error {
	f := d.failure
	f.fence.RLock()
	if f.shut {
		f.fence.RUnlock()
		select {}
	}
	err := do()
	f.fence.RUnlock()
	if err == nil {
		return nil
	}
	opened := f.opened.Load()
	f.set(fmt.Errorf("%w; free space on the disk, or replace it", err))
	if opened {
		select {}
	}
	return err
}

// open is change for what returns a file.
func (d diskFS) open(do func() (vfs.File, error)) (file vfs.File, err error) {
	err = d.change(func() error {
		file, err = do()
		return err
	})
	if err != nil {
		return nil, err
	}
	return diskFile{file, d}, nil
}

// tidy is change for what may fail without harm: a file too many is removed
// another time.
func (d diskFS) tidy(do func() error) (err error) {
	_ = d.change(func() error {
		err = do()
		return nil
	})
	return err
}

func (d diskFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.open(func() (vfs.File, error) { return d.FS.Create(name, c) })
}

func (d diskFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.open(func() (vfs.File, error) { return d.FS.ReuseForWrite(from, to, c) })
}

func (d diskFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.open(func() (vfs.File, error) { return d.FS.OpenReadWrite(name, c, opts...) })
}

// OpenDir wraps too: folders are synced.
func (d diskFS) OpenDir(name string) (vfs.File, error) {
	return d.open(func() (vfs.File, error) { return d.FS.OpenDir(name) })
}

func (d diskFS) Rename(from, to string) error {
	return d.change(func() error { return d.FS.Rename(from, to) })
}

func (d diskFS) Link(from, to string) error {
	return d.change(func() error { return d.FS.Link(from, to) })
}

func (d diskFS) MkdirAll(dir string, mode os.FileMode) error {
	return d.change(func() error { return d.FS.MkdirAll(dir, mode) })
}

func (d diskFS) Remove(name string) error { return d.tidy(func() error { return d.FS.Remove(name) }) }

func (d diskFS) RemoveAll(name string) error {
	return d.tidy(func() error { return d.FS.RemoveAll(name) })
}

// Unwrap lets pebble find the file system below.
func (d diskFS) Unwrap() vfs.FS { return d.FS }

type diskFile struct {
	vfs.File
	disk diskFS
}

func (f diskFile) Write(p []byte) (n int, err error) {
	return n, f.disk.change(func() error {
		n, err = f.File.Write(p)
		return err
	})
}

func (f diskFile) WriteAt(p []byte, at int64) (n int, err error) {
	return n, f.disk.change(func() error {
		n, err = f.File.WriteAt(p, at)
		return err
	})
}

func (f diskFile) Sync() error { return f.disk.change(f.File.Sync) }

func (f diskFile) SyncData() error { return f.disk.change(f.File.SyncData) }

func (f diskFile) SyncTo(length int64) (full bool, err error) {
	return full, f.disk.change(func() error {
		full, err = f.File.SyncTo(length)
		return err
	})
}

// Preallocate is for speed only.
func (f diskFile) Preallocate(at, length int64) error {
	return f.disk.tidy(func() error { return f.File.Preallocate(at, length) })
}
