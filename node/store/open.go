package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
}

// DefaultCacheBytes suits a node that has a machine to itself.
const DefaultCacheBytes = 32 << 20

// markName is the file of the mark, beside pebble's own.
const markName = "synced"

// minBuffer is the least write buffer: below it a block of full size would
// always take the slow path of large batches.
const minBuffer = 1 << 20

// Store is an open store.
type Store struct {
	dir    string
	db     *pebble.DB
	lock   io.Closer
	logger *slog.Logger
	synced func(time.Duration)

	failure failure
	mark    mark
	recent  atomic.Pointer[wire.Block] // the block put last, which Commit is about to ask for

	local sync.Mutex // serialises changes of local transactions' records
	ended ended      // guarded by local

	gate   sync.RWMutex // held for reading by every use of db; guards closed
	closed bool
}

// Open opens the store in dir, or makes one where dir is absent or empty. The
// error names dir and the remedy; it wraps Locked, Foreign, WrongNetwork, Newer
// or Damaged where that is the reason.
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
	lock, err := pebble.LockDirectory(dir, opt.FS)
	if err != nil {
		if isAccess(err) {
			return nil, fmt.Errorf("open store %s: %w; check the path and its permissions", dir, err)
		}
		return nil, refuse(dir, Locked, err)
	}
	s := &Store{dir: dir, lock: lock, logger: opt.Logger, synced: opt.Synced, failure: failure{done: make(chan struct{})}}
	s.mark.files, s.mark.name = diskFS{opt.FS, &s.failure}, opt.FS.PathJoin(dir, markName)
	if err := s.open(opt); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
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

func (s *Store) open(opt Options) error {
	if err := s.inspect(opt.FS); err != nil {
		return err
	}
	db, err := openDB(s.dir, opt, s.lock.(*pebble.Lock), s)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("open store %s: %w; check the path and its permissions", s.dir, err)
	case strings.Contains(err.Error(), "unknown to this version"): // pebble has no typed error for it
		return refuse(s.dir, Newer, err)
	default:
		return refuse(s.dir, Damaged, err)
	}
	s.db = db
	err = s.compare()
	if err == nil {
		err = s.stamp(opt.Network)
	}
	if err == nil {
		err = s.loadEnded()
	}
	if err != nil {
		return errors.Join(err, s.mark.close(), db.Close())
	}
	s.failure.opened.Store(true)
	return nil
}

// inspect refuses a folder with files in it that no store of ours made.
func (s *Store) inspect(files vfs.FS) error {
	names, err := files.List(s.dir)
	if err != nil {
		return fmt.Errorf("open store %s: %w; check the path and its permissions", s.dir, err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == "LOCK" || name == markName })
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

// openDB opens pebble. It panics on some damage instead of returning an error.
func openDB(dir string, opt Options, lock *pebble.Lock, s *Store) (db *pebble.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("pebble: %v", p)
		}
	}()
	options := &pebble.Options{
		FS:                 diskFS{opt.FS, &s.failure},
		Lock:               lock,
		CacheSize:          opt.CacheBytes,
		MemTableSize:       uint64(max(opt.CacheBytes/4, minBuffer)),
		MaxOpenFiles:       256,
		FormatMajorVersion: pebble.FormatNewest,
		Logger:             quietLogger{s},
		EventListener:      &pebble.EventListener{BackgroundError: s.backgroundError, DataCorruption: s.dataCorruption},
	}
	return pebble.Open(dir, options)
}

// stamp writes schema and network into a new store and compares them in one
// that exists.
func (s *Store) stamp(network wire.NetworkID) error {
	stamp, err := s.get(keyStamp())
	if errors.Is(err, NotFound) {
		return s.stampNew(network)
	} else if err != nil {
		return refuse(s.dir, Damaged, err)
	}
	if len(stamp) < 4 {
		return refuse(s.dir, Damaged, errors.New("its stamp is cut short"))
	}
	if v := binary.BigEndian.Uint32(stamp); v > schema {
		return refuse(s.dir, Newer, fmt.Errorf("schema %d, this program knows %d", v, schema))
	} else if v < schema || len(stamp) != 4+len(network) {
		return refuse(s.dir, Damaged, fmt.Errorf("stamp %x", stamp))
	}
	if found := wire.NetworkID(stamp[4:]); found != network {
		return refuse(s.dir, WrongNetwork, fmt.Errorf("network %s, this node is of %s", found, network))
	}
	return nil
}

func (s *Store) stampNew(network wire.NetworkID) error {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return refuse(s.dir, Damaged, err)
	}
	some := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return refuse(s.dir, Damaged, err)
	}
	if some {
		return refuse(s.dir, Foreign, errors.New("it bears no stamp"))
	}
	b := s.db.NewBatch()
	if err := b.Set(keyStamp(), append(binary.BigEndian.AppendUint32(nil, schema), network[:]...), nil); err != nil {
		return err
	}
	return s.write(b)
}

// closeFailed bounds the wait for a database that failed: its goroutines may
// never end, and the process is about to.
const closeFailed = 2 * time.Second

// Close ends all use of the store. It is safe to call twice.
func (s *Store) Close() error {
	s.failure.closing.Store(true)
	done := make(chan error, 1)
	go func() { done <- s.close() }()
	select {
	case err := <-done:
		return err
	case <-s.failure.done:
	}
	select {
	case err := <-done:
		return errors.Join(s.failure.err(), err)
	case <-time.After(closeFailed):
		return fmt.Errorf("close store %s: given up: %w", s.dir, s.failure.err())
	}
}

func (s *Store) close() (err error) {
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	defer func() {
		if p := recover(); p != nil { // pebble, after a failure
			err = fmt.Errorf("close store %s: %v", s.dir, p)
		}
		err = errors.Join(err, s.lock.Close())
	}()
	if err := errors.Join(s.db.Close(), s.mark.close()); err != nil {
		return fmt.Errorf("close store %s: %w", s.dir, err)
	}
	return nil
}
