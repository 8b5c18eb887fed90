package store

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/grapevine-p2p/grapevine/wire"
)

// schema is the version of the layout that keys.go describes.
const schema = 1

// Options say how to open a store.
type Options struct {
	FS         vfs.FS                   // nil means the disk
	Network    wire.NetworkID           // a store of another network is refused
	CacheBytes int64                    // memory for blocks of files read; the write buffer takes a quarter of it. 0 means DefaultCacheBytes
	Logger     *slog.Logger             // nil discards
	Synced     func(took time.Duration) // told of every write that reached the disk; may be nil, must not block

	// Slot returns the slot that is now, with all that a clock may be wrong by: nothing was signed
	// for a later one. With it a damaged store is set aside, and a new one takes its place; without
	// it such a store is refused.
	Slot func() uint64
}

// DefaultCacheBytes suits a node that has a machine to itself.
const DefaultCacheBytes = 32 << 20

// Files beside pebble's own.
const (
	lockName  = "LOCK"
	markName  = "synced" // of the mark
	probeName = "probe"  // what a disk that failed is tried with

	snapshotName = "mempool" // of the mempool's snapshot
	newSuffix    = ".new"    // of a file that is being written
)

// minBuffer is the least write buffer: below it a block of full size would
// always take the slow path of large batches.
const minBuffer = 1 << 20

// Store is an open store.
type Store struct {
	dir    string // constant, as all to cache
	opt    Options
	lock   io.Closer
	logger *slog.Logger
	synced func(time.Duration)
	cache  *pebble.Cache // of all databases, one after the other

	recent atomic.Pointer[wire.Block] // the block put last, which Commit is about to ask for

	local sync.Mutex // serialises changes of local transactions' records
	ended ended      // guarded by local

	rescued *Rescue // constant once it is open: what became of a damaged one, if it was

	reopening chan struct{} // holds a token while a database is being replaced

	// current is nil while there is none: between two of them, and once the
	// store is closed.
	current atomic.Pointer[database]

	mu        sync.Mutex // guards what follows
	closed    bool
	abandoned int   // databases that failed and never ended
	down      error // why there is no current one
}

// Open opens the store in dir, or makes one where dir is absent or empty. The
// error names dir and the remedy; it wraps Locked, Foreign, WrongNetwork, Newer
// or Damaged where that is the reason. A damaged one is set aside where the options
// say so, and then what became of it is in [Store.Rescued].
func Open(dir string, opt Options) (*Store, error) {
	if opt.FS == nil {
		opt.FS = vfs.Default
	}
	if opt.CacheBytes == 0 {
		opt.CacheBytes = DefaultCacheBytes
	}
	if opt.CacheBytes < 0 {
		return nil, fmt.Errorf("open store %s: CacheBytes is %d, want > 0", dir, opt.CacheBytes)
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Synced == nil {
		opt.Synced = func(time.Duration) {}
	}
	if err := makeDir(opt.FS, dir); err != nil {
		return nil, fmt.Errorf("open store %s: %w; check the path and its permissions", dir, err)
	}
	lock, err := opt.FS.Lock(opt.FS.PathJoin(dir, lockName))
	if err != nil {
		if isAccess(err) {
			return nil, fmt.Errorf("open store %s: %w; check the path and its permissions", dir, err)
		}
		return nil, refuse(dir, Locked, err)
	}
	s := &Store{
		dir: dir, opt: opt, lock: lock, logger: opt.Logger, synced: opt.Synced,
		cache: pebble.NewCache(opt.CacheBytes), reopening: make(chan struct{}, 1),
	}
	db, err := s.openOrRescue()
	if err != nil {
		s.cache.Unref()
		return nil, errors.Join(err, lock.Close())
	}
	s.take(db)
	return s, nil
}

// makeDir makes dir and whatever is missing above it, durably: a folder whose
// name is not on disk loses all that is in it, however well that was synced.
func makeDir(files vfs.FS, dir string) error {
	var changed []string // folders that get a new entry
	for at := dir; ; {
		if _, err := files.Stat(at); err == nil {
			break
		}
		parent := files.PathDir(at)
		if parent == at {
			break
		}
		changed = append(changed, parent)
		at = parent
	}
	if err := files.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, name := range slices.Backward(changed) {
		d, err := files.OpenDir(name)
		if err == nil {
			err = errors.Join(d.Sync(), d.Close())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// recoveredName is the folder that a file system has at its root: the store's may be one.
const recoveredName = "lost+found"

// isOwnFile knows what lies beside the database, but for its mark.
func isOwnFile(name string) bool {
	return slices.Contains([]string{lockName, probeName, snapshotName, snapshotName + newSuffix, recoveredName}, name) ||
		isFile(name) || strings.HasPrefix(name, asidePrefix)
}

// inspect refuses a folder with files in it that no store of ours made.
func (s *Store) inspect(files vfs.FS) error {
	names, err := files.List(s.dir)
	if err != nil {
		return fmt.Errorf("open store %s: %w; check the path and its permissions", s.dir, err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == markName || isOwnFile(name) })
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	ours := func(name string) bool {
		return strings.HasPrefix(name, "marker.") || strings.HasPrefix(name, "MANIFEST-") || strings.HasPrefix(name, "OPTIONS-") ||
			strings.HasSuffix(name, ".log") || strings.HasSuffix(name, ".sst")
	}
	if !slices.ContainsFunc(names, ours) {
		return refuse(s.dir, Foreign, fmt.Errorf("it holds %q", names[0]))
	}
	desc, err := pebble.Peek(s.dir, files)
	if err != nil {
		return refuse(s.dir, Damaged, err)
	}
	// With tables but no manifest pebble would start anew and forget them.
	if !desc.Exists && slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, ".sst") }) {
		return refuse(s.dir, Damaged, errors.New("its manifest is gone"))
	}
	return nil
}
