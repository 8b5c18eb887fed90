package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// mark tells a log that lost its end from one that a crash cut. To pebble both
// look alike, so that with a part of the log all that it held would vanish
// without a word. Every batch therefore carries its number, and the number of
// the last one that is on disk is also kept in a small file: a store that holds
// less than its mark says has lost what was acknowledged.
//
// A log that is gone from the middle leaves the last number as it was. The
// latest ringSize batches therefore leave their number in a place of their own
// each, and none may be missing.
//
// The file is not synced. It follows the log and never leads it, so that after
// a loss of power it may only know too little.
type mark struct {
	files vfs.FS // constant, as is name
	name  string

	order sync.Mutex // guards numbers and the order in which they are applied
	last  uint64     // the batch applied last
	since uint64     // the first batch that left its number in the ring

	mu   sync.Mutex // guards what follows
	file vfs.File   // nil until the first write
	said uint64     // what the file says
}

const (
	markSize = 8 + 4 // number, checksum
	// ringSize is more than the batches that are in logs only, not in tables yet,
	// unless they are tiny and the write buffer is large.
	ringSize = 1 << 16
)

// load reads the number that the file says, 0 if there is none to be believed.
func (m *mark) load() (uint64, error) {
	f, err := m.files.Open(m.name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	var b [markSize]byte
	_, err = f.ReadAt(b[:], 0)
	if err := errors.Join(ignoreEnd(err), f.Close()); err != nil {
		return 0, err
	}
	if crc32.ChecksumIEEE(b[:8]) != binary.BigEndian.Uint32(b[8:]) {
		return 0, nil // power was lost while it was written
	}
	return binary.BigEndian.Uint64(b[:8]), nil
}

func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// apply numbers b and applies it. It is not on disk yet.
func (m *mark) apply(db *pebble.DB, b *pebble.Batch) (number uint64, err error) {
	m.order.Lock()
	defer m.order.Unlock()
	number = m.last + 1
	if m.since == 0 {
		m.since = number
	}
	value := binary.BigEndian.AppendUint64(nil, number)
	if err := errors.Join(
		b.Set(keyRing(number), value, nil),
		b.Set(keyMark(), binary.BigEndian.AppendUint64(value, m.since), nil),
	); err != nil {
		return 0, err
	}
	if err := db.ApplyNoSyncWait(b, pebble.Sync); err != nil {
		return 0, err
	}
	m.last = number
	return number, nil
}

// synced notes that the batch of that number, and so every one before it, is on
// disk.
func (m *mark) synced(number uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if number <= m.said {
		return nil
	}
	if m.file == nil {
		var err error
		if m.file, err = m.files.OpenReadWrite(m.name, vfs.WriteCategoryUnspecified); err != nil {
			return fmt.Errorf("open %s: %w", m.name, err)
		}
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, markSize), number)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	if _, err := m.file.WriteAt(b, 0); err != nil {
		return fmt.Errorf("write %s: %w", m.name, err)
	}
	m.said = number
	return nil
}

func (m *mark) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file == nil {
		return nil
	}
	err := m.file.Close()
	m.file = nil
	return err
}

// compare refuses a store that holds less than its mark says.
func (d *database) compare() error {
	dir := d.store.dir
	v, err := d.get(keyMark())
	switch {
	case errors.Is(err, NotFound):
	case err != nil:
		return err
	case len(v) == 8: // by a version that had no ring
		d.mark.last = binary.BigEndian.Uint64(v)
	case len(v) == 2*8:
		d.mark.last, d.mark.since = binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])
	default:
		return refuse(dir, Damaged, fmt.Errorf("number of the last batch of %d bytes", len(v)))
	}
	if d.mark.said, err = d.mark.load(); err != nil {
		return fmt.Errorf("open store %s: %w: read its mark: %w; check the path and its permissions", dir, Failed, err)
	}
	if lost := d.mark.said - min(d.mark.said, d.mark.last); lost > 0 {
		return refuse(dir, Damaged, fmt.Errorf("the last %d of %d writes that were on disk are gone", lost, d.mark.said))
	}
	return d.checkRing()
}

// checkRing refuses a store that lost writes before its last one.
func (d *database) checkRing() error {
	if d.mark.since == 0 {
		return nil
	}
	want := d.mark.last + 1 - max(d.mark.since, d.mark.last+1-min(d.mark.last, ringSize))
	found := uint64(0)
	err := d.scan([]byte{tableRing}, []byte{tableRing + 1}, func(_, value []byte) error {
		if len(value) != 8 {
			return refuse(d.store.dir, Damaged, fmt.Errorf("number of a batch of %d bytes", len(value)))
		}
		if n := binary.BigEndian.Uint64(value); n <= d.mark.last && d.mark.last-n < want {
			found++ // each has a place of its own
		}
		return nil
	})
	if err == nil && found != want {
		err = refuse(d.store.dir, Damaged, fmt.Errorf("%d of the last %d writes are gone", want-found, want))
	}
	return err
}
