package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/grapevine-p2p/grapevine/wire"
)

// database is one opening of the store's files. The first failure of the disk
// ends it: nothing is written through it any more, and another takes its place.
type database struct {
	store   *Store // constant, as all to ended
	failure failure
	disk    diskFS
	db      *pebble.DB
	mark    mark
	ended   ended // as it was found

	gate   sync.RWMutex // held for reading by every use of db; guards closed
	closed bool
}

// open opens the files. An error that wraps Failed is the disk's and may pass;
// others are as Open says.
func (s *Store) open() (*database, error) {
	if err := s.inspect(s.opt.FS); err != nil {
		return nil, err
	}
	d := &database{store: s, failure: newFailure()}
	d.disk = diskFS{s.opt.FS, &d.failure}
	d.mark.files, d.mark.name = d.disk, d.disk.PathJoin(s.dir, markName)
	var err error
	if d.db, err = d.openPebble(); err != nil {
		return nil, s.cannotOpen(err, d.failure.err())
	}
	err = d.compare()
	if err == nil {
		err = d.stamp(s.opt.Network)
	}
	if err == nil {
		err = d.loadEnded()
	}
	d.failure.opened.Store(true)
	// Some failures do not reach the one who asked: those count all the same.
	if failed := d.failure.err(); failed != nil {
		err = s.cannotOpen(err, failed)
	}
	if err != nil {
		return nil, errors.Join(err, s.end(d))
	}
	for _, name := range d.failure.whole() {
		_ = d.disk.Remove(name)
	}
	return d, nil
}

// cannotOpen finds the reason and the remedy for a failed opening; failed is
// what the disk reported meanwhile.
func (s *Store) cannotOpen(err, failed error) error {
	var path *fs.PathError
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("open store %s: %w; check the path and its permissions", s.dir, err)
	case failed != nil:
		return fmt.Errorf("open store %s: %w", s.dir, failed)
	case errors.As(err, &path) && !errors.Is(err, fs.ErrNotExist): // a read that the disk refused
		return fmt.Errorf("open store %s: %w: %w; check the disk, then start again", s.dir, Failed, err)
	case strings.Contains(err.Error(), "unknown to this version"): // pebble has no typed error for it
		return refuse(s.dir, Newer, err)
	}
	return refuse(s.dir, Damaged, err)
}

// openPebble opens pebble, which on some damage neither returns an error nor
// returns at all, and takes some failed writes for the end of the process.
func (d *database) openPebble() (*pebble.DB, error) {
	s := d.store
	options := &pebble.Options{
		FS:                 d.disk,
		Cache:              s.cache,
		MemTableSize:       uint64(s.buffer()),
		MaxOpenFiles:       256,
		FormatMajorVersion: pebble.FormatNewest,
		Logger:             quietLogger{d},
		EventListener:      &pebble.EventListener{BackgroundError: d.backgroundError, DataCorruption: d.dataCorruption},
	}
	done := make(chan opening, 1)
	go func() {
		o := opening{err: errors.New("pebble gave up")} // unless it returns
		defer func() {
			if p := recover(); p != nil {
				o.err = fmt.Errorf("pebble: %v", p)
			}
			done <- o
		}()
		o.db, o.err = pebble.Open(s.dir, options)
	}()
	var o opening
	select {
	case o = <-done:
	case <-d.failure.done: // whoever wrote waits
		o.err = d.failure.err()
		d.abandonOpening(done)
	case <-d.failure.gaveUp: // a goroutine of its own, for which it may wait for ever
		d.abandonOpening(done)
	}
	if fatal := d.failure.fatal.Load(); fatal != nil {
		return nil, *fatal
	}
	return o.db, o.err
}

// opening is what comes of opening pebble.
type opening struct {
	db  *pebble.DB
	err error
}

// abandonOpening lets go of a database that is not to be, and returns when nothing is changed through
// it any more. It comes to its end, or is left behind.
func (d *database) abandonOpening(done <-chan opening) {
	d.failure.closing.Store(true)
	d.store.abandon(1)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		defer d.store.abandon(-1)
		defer func() { _ = recover() }() // pebble, after a failure
		if o := <-done; o.db != nil {
			_ = o.db.Close()
		}
	}()
	d.failure.release()
	select {
	case <-gone:
	case <-time.After(closeFailed):
	}
}

// buffer is the size of the write buffer.
func (s *Store) buffer() int64 { return max(s.opt.CacheBytes/4, minBuffer) }

// stamp writes schema and network into a new store and compares them in one
// that exists.
func (d *database) stamp(network wire.NetworkID) error {
	dir := d.store.dir
	stamp, err := d.get(keyStamp())
	if errors.Is(err, NotFound) {
		return d.stampNew(network)
	} else if err != nil {
		return err
	}
	if len(stamp) < 4 {
		return refuse(dir, Damaged, errors.New("its stamp is cut short"))
	}
	if v := binary.BigEndian.Uint32(stamp); v > schema {
		return refuse(dir, Newer, fmt.Errorf("schema %d, this program knows %d", v, schema))
	} else if v < schema || len(stamp) != 4+len(network) {
		return refuse(dir, Damaged, fmt.Errorf("stamp %x", stamp))
	}
	if found := wire.NetworkID(stamp[4:]); found != network {
		return refuse(dir, WrongNetwork, fmt.Errorf("network %s, this node is of %s", found, network))
	}
	return nil
}

func (d *database) stampNew(network wire.NetworkID) error {
	it, err := d.db.NewIter(nil)
	if err != nil {
		return d.readError(err)
	}
	some := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return d.readError(err)
	}
	if some {
		return refuse(d.store.dir, Foreign, errors.New("it bears no stamp"))
	}
	b := d.db.NewBatch()
	if err := b.Set(keyStamp(), append(binary.BigEndian.AppendUint32(nil, schema), network[:]...), nil); err != nil {
		return err
	}
	return d.write(b, func() {})
}

// enter admits a use of the database; leave ends it.
func (d *database) enter() bool {
	if !d.gate.TryRLock() { // it is being closed
		return false
	}
	if d.closed {
		d.gate.RUnlock()
		return false
	}
	return true
}

func (d *database) leave() { d.gate.RUnlock() }

// write applies b, calls applied as soon as it can be read, and returns when it
// is on disk.
func (d *database) write(b *pebble.Batch, applied func()) error {
	if err := d.failure.err(); err != nil {
		return err
	}
	// The database never returns from some failures of its disk, so the wait
	// for it must be one that can be given up.
	done := make(chan error, 1)
	go func() { done <- d.apply(b, applied) }()
	select {
	case err := <-done:
		if err != nil {
			d.failure.set(err)
		}
		// A failure that another writer met meanwhile leaves this one in doubt.
		return d.failure.err()
	case <-d.failure.done:
		return d.failure.err()
	}
}

func (d *database) apply(b *pebble.Batch, applied func()) (err error) {
	defer func() {
		if p := recover(); p != nil { // pebble's way to report some failures
			err = fmt.Errorf("%v", p)
		}
	}()
	number, err := d.mark.apply(d.db, b)
	if err != nil {
		return err
	}
	applied()
	if err := b.SyncWait(); err != nil {
		return err
	}
	if err := d.mark.synced(number); err != nil {
		return err
	}
	return b.Close()
}

// get returns a copy of the value of key, or NotFound.
func (d *database) get(key []byte) ([]byte, error) {
	v, closer, err := d.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, NotFound
	} else if err != nil {
		return nil, d.readError(err)
	}
	v = append([]byte(nil), v...)
	return v, closer.Close()
}

// scan calls f for every key in [from, to) until it returns an error. The
// slices are valid during the call only.
func (d *database) scan(from, to []byte, f func(key, value []byte) error) error {
	it, err := d.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return d.readError(err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var v []byte
		if v, err = it.ValueAndErr(); err != nil {
			err = d.readError(err)
		} else {
			err = f(it.Key(), v)
		}
	}
	if bad := it.Error(); bad != nil {
		err = errors.Join(err, d.readError(bad))
	}
	return errors.Join(err, it.Close())
}

func (d *database) readError(err error) error {
	if pebble.IsCorruptionError(err) {
		return refuse(d.store.dir, Damaged, err)
	}
	return fmt.Errorf("read store %s: %w: %w; check the disk", d.store.dir, Failed, err)
}

// closeFailed bounds the wait for a database that failed: its goroutines may
// never end.
const closeFailed = 200 * time.Millisecond

// end closes d. One that failed and does not end is abandoned.
func (s *Store) end(d *database) error {
	d.failure.closing.Store(true)
	done := make(chan error, 1)
	go func() { done <- d.close() }()
	select {
	case err := <-done:
		return err
	case <-d.failure.done:
	}
	go d.failure.release()
	select {
	case err := <-done:
		return errors.Join(d.failure.err(), err)
	case <-time.After(closeFailed):
	}
	s.abandon(1)
	go func() {
		<-done
		s.abandon(-1)
	}()
	return fmt.Errorf("close store %s: given up: %w", s.dir, d.failure.err())
}

func (s *Store) abandon(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abandoned += n
}

func (d *database) close() (err error) {
	d.gate.Lock()
	defer d.gate.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	defer func() {
		if p := recover(); p != nil { // pebble, after a failure
			err = fmt.Errorf("close store %s: %v", d.store.dir, p)
		}
	}()
	if err := errors.Join(d.db.Close(), d.mark.close()); err != nil {
		return fmt.Errorf("close store %s: %w", d.store.dir, err)
	}
	return nil
}

// dataCorruption ends the use of a store in which a table's checksum is wrong.
func (d *database) dataCorruption(info pebble.DataCorruptionInfo) {
	if !d.failure.closing.Load() {
		d.failure.set(refuse(d.store.dir, Damaged, fmt.Errorf("%s: %w", info.Path, info.Details)))
	}
}

// backgroundError ends the use of a database whose tables cannot be written:
// the buffers would fill and every writer would wait for ever.
func (d *database) backgroundError(err error) {
	if !d.failure.closing.Load() && !errors.Is(err, pebble.ErrCancelledCompaction) {
		d.failure.set(err)
	}
}

// quietLogger passes pebble's complaints on, not its chatter.
type quietLogger struct{ d *database }

func (quietLogger) Infof(string, ...any) {}

func (l quietLogger) Errorf(format string, args ...any) {
	if !l.d.failure.closing.Load() && l.d.failure.err() == nil {
		l.d.store.logger.Error("database", "path", l.d.store.dir, "err", fmt.Sprintf(format, args...))
	}
}

// Fatalf must not return, nor end the process: a daemon wants to go on, and
// other nodes may live in it.
func (l quietLogger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	if !l.d.failure.opened.Load() {
		if l.d.failure.fatal.CompareAndSwap(nil, &err) {
			close(l.d.failure.gaveUp)
		}
		runtime.Goexit()
	}
	l.d.failure.set(err)
	select {}
}

// held is the lock that pebble thinks it takes: the store has it already, and
// keeps it from one database to the next.
type held struct{}

func (held) Close() error { return nil }

// Lock implements vfs.FS.
func (diskFS) Lock(string) (io.Closer, error) { return held{}, nil }

var _ vfs.FS = diskFS{}
