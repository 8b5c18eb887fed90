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
	gaveUp  chan struct{}         // closed when it did

	once  sync.Once
	first error // readable once done is closed

	fence sync.RWMutex // held for reading by whatever changes files; guards shut
	shut  bool

	over chan struct{} // closed when nobody reads from it either: then whoever waits goes on for nothing
	void vfs.FS        // of files that are made after that; constant

	sparing sync.Mutex // guards what follows
	sound   bool       // what was opened is whole
	spared  []string   // files that pebble held for needless before that was known
}

// spare says whether a file is not to be removed yet: what pebble holds for needless when it opens
// files of which one is damaged may be all that is left of what was accepted.
func (f *failure) spare(name string) bool {
	f.sparing.Lock()
	defer f.sparing.Unlock()
	if f.sound {
		return false
	}
	f.spared = append(f.spared, name)
	return true
}

// whole is told that the files are sound. It returns what was spared, and is needless.
func (f *failure) whole() (needless []string) {
	f.sparing.Lock()
	defer f.sparing.Unlock()
	f.sound = true
	return f.spared
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

// release lets go of whoever waits, once nothing is changed any more. It is called once.
func (f *failure) release() {
	<-f.shutOut()
	close(f.over)
}

func newFailure() failure {
	return failure{done: make(chan struct{}), gaveUp: make(chan struct{}), over: make(chan struct{}), void: vfs.NewMem()}
}

// diskFS is the file system that pebble writes to. Pebble answers a failed
// write by ending the process, for some files beyond any recovery. A daemon
// wants to go on, and other nodes may live in the process; so the first failed
// write is noted, and whoever asked for it waits until the database is closed.
// From then on every change seems to succeed and none is made: nobody uses the
// database any more, and pebble comes to an end and lets go of its memory. So it
// is while a database is being opened: what is in a log is written into tables by
// goroutines of pebble's own then, and they end the process as well.
type diskFS struct {
	vfs.FS
	failure *failure
}

// change does what changes files, unless that is over. It says whether it was done.
func (d diskFS) change(do func() error) (done bool, err error) {
	f := d.failure
	f.fence.RLock()
	if f.shut {
		f.fence.RUnlock()
		<-f.over
		return false, nil
	}
	err = do()
	f.fence.RUnlock()
	if err == nil {
		return true, nil
	}
	f.set(fmt.Errorf("%w; free space on the disk, or replace it", err))
	<-f.over
	return false, nil
}

// open is change for what returns a file. One that is asked for too late is in memory only.
func (d diskFS) open(name string, do func() (vfs.File, error)) (file vfs.File, err error) {
	done, err := d.change(func() error {
		file, err = do()
		return err
	})
	if err == nil && !done {
		void := d.failure.void
		if err = void.MkdirAll(void.PathDir(name), 0o700); err == nil {
			file, err = void.Create(name, vfs.WriteCategoryUnspecified)
		}
	}
	if err != nil {
		return nil, err
	}
	return diskFile{file, d}, nil
}

// tidy is change for what may fail without harm: a file too many is removed
// another time.
func (d diskFS) tidy(do func() error) (err error) {
	_, _ = d.change(func() error {
		err = do()
		return nil
	})
	return err
}

func (d diskFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.open(name, func() (vfs.File, error) { return d.FS.Create(name, c) })
}

func (d diskFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.open(to, func() (vfs.File, error) { return d.FS.ReuseForWrite(from, to, c) })
}

func (d diskFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.open(name, func() (vfs.File, error) { return d.FS.OpenReadWrite(name, c, opts...) })
}

// OpenDir wraps too: folders are synced.
func (d diskFS) OpenDir(name string) (vfs.File, error) {
	return d.open(d.PathJoin(name, "folder"), func() (vfs.File, error) { return d.FS.OpenDir(name) })
}

func (d diskFS) Rename(from, to string) error {
	_, err := d.change(func() error { return d.FS.Rename(from, to) })
	return err
}

func (d diskFS) Link(from, to string) error {
	_, err := d.change(func() error { return d.FS.Link(from, to) })
	return err
}

func (d diskFS) MkdirAll(dir string, mode os.FileMode) error {
	_, err := d.change(func() error { return d.FS.MkdirAll(dir, mode) })
	return err
}

func (d diskFS) Remove(name string) error {
	if isDatabaseFile(d.PathBase(name)) && d.failure.spare(name) {
		return nil
	}
	return d.tidy(func() error { return d.FS.Remove(name) })
}

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
	done, err := f.disk.change(func() error {
		n, err = f.File.Write(p)
		return err
	})
	return written(n, done, err, p), err
}

func (f diskFile) WriteAt(p []byte, at int64) (n int, err error) {
	done, err := f.disk.change(func() error {
		n, err = f.File.WriteAt(p, at)
		return err
	})
	return written(n, done, err, p), err
}

// written is how much of p a write says that it wrote: all of it where it only seems to succeed.
func written(n int, done bool, err error, p []byte) int {
	if done || err != nil {
		return n
	}
	return len(p)
}

func (f diskFile) Sync() error {
	_, err := f.disk.change(f.File.Sync)
	return err
}

func (f diskFile) SyncData() error {
	_, err := f.disk.change(f.File.SyncData)
	return err
}

func (f diskFile) SyncTo(length int64) (full bool, err error) {
	done, err := f.disk.change(func() error {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full || !done && err == nil, err
}

// Preallocate is for speed only.
func (f diskFile) Preallocate(at, length int64) error {
	return f.disk.tidy(func() error { return f.File.Preallocate(at, length) })
}
