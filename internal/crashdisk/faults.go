package crashdisk

import (
	"os"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// Faults is a file system whose writes fail when a test says so: one of them,
// or all from some moment on. Safe for concurrent use.
type Faults struct {
	vfs.FS

	mu     sync.Mutex // guards what follows
	writes int
	at     int // the write that fails; 0 for none
	once   syscall.Errno
	all    syscall.Errno // 0 while writes succeed
	before int           // the write that look comes before; 0 for none
	look   func()
}

// WithFaults returns files, without a fault yet.
func WithFaults(files vfs.FS) *Faults {
	f := &Faults{}
	f.FS = errorfs.Wrap(files, errorfs.InjectorFunc(f.inject))
	return f
}

// FailAt makes the k-th write from now fail, and no other: 1 is the next.
func (f *Faults) FailAt(k int, with syscall.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.once = f.writes+k, with
}

// Before has do called right before the k-th write from now: 1 is the next. It may crash
// the disk, and must not write.
func (f *Faults) Before(k int, do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.look = f.writes+k, do
}

// Fail makes all writes fail until Heal. On a disk that is full (ENOSPC) files
// can still be removed.
func (f *Faults) Fail(with syscall.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = with
}

// Heal makes writes succeed again.
func (f *Faults) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all, f.at = 0, 0
}

// Writes is how many writes there were, those that failed included.
func (f *Faults) Writes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

func (f *Faults) inject(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpFileClose || op.Kind == errorfs.OpLock {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes++
	if f.writes == f.before {
		f.look()
	}
	removes := op.Kind == errorfs.OpRemove || op.Kind == errorfs.OpRemoveAll
	switch {
	case f.writes == f.at:
		return &os.PathError{Op: "write", Path: op.Path, Err: f.once}
	case f.all == 0, f.all == syscall.ENOSPC && removes:
		return nil
	}
	return &os.PathError{Op: "write", Path: op.Path, Err: f.all}
}

var _ vfs.FS = (*Faults)(nil)
