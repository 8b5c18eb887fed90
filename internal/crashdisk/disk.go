// Package crashdisk is an in-memory disk for tests that lose power while
// somebody writes to it.
package crashdisk

import (
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Disk is a crashable vfs.MemFS that may be crashed at any moment. MemFS itself
// deadlocks when a crash comes in the middle of ReuseForWrite, which takes a
// read lock twice. Safe for concurrent use.
type Disk struct {
	*vfs.MemFS

	reuse sync.RWMutex // held for reading within ReuseForWrite
}

// New returns an empty disk.
func New() *Disk { return &Disk{MemFS: vfs.NewCrashableMem()} }

// ReuseForWrite implements vfs.FS.
func (d *Disk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	d.reuse.RLock()
	defer d.reuse.RUnlock()
	return d.MemFS.ReuseForWrite(from, to, c)
}

// Crash returns what a loss of power at this moment would leave. The disk
// itself goes on.
func (d *Disk) Crash(cfg vfs.CrashCloneCfg) *Disk {
	d.reuse.Lock()
	defer d.reuse.Unlock()
	return &Disk{MemFS: d.CrashClone(cfg)}
}
