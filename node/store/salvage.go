package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/sstable"

	"github.com/grapevine-p2p/grapevine/wire"
)

// version is what a file says of a key. Of several the highest number holds.
type version struct {
	number  uint64
	value   []byte
	deleted bool
}

// salvageTables are those whose content nobody else has.
var salvageTables = []byte{tableEnded, tableLocal, tableState, tableEvidence}

// salvage reads from the files of a database, without it, what nobody else has. Each record has
// the checksum of the block that it lies in, and a transaction has its id besides. What cannot be read
// is in the report; an error says that the files are those of another network.
func (s *Store) salvage(dir string, names []string, report *Rescue) (map[string]version, error) {
	found := make(map[string]version)
	put := func(number uint64, deleted bool, key, value []byte) {
		if was, ok := found[string(key)]; !ok || number >= was.number {
			found[string(key)] = version{number, slices.Clone(value), deleted}
		}
	}
	for _, name := range slices.Sorted(slices.Values(names)) {
		var err error
		path := s.opt.FS.PathJoin(dir, name)
		switch number, kind, _ := strings.Cut(name, "."); kind {
		case "sst":
			err = s.salvageTable(path, put)
		case "log":
			err = s.salvageLog(path, number, put)
		}
		if err != nil {
			s.logger.Warn("a file of the damaged store cannot be read to its end", "file", name, "err", err)
			report.Unread = append(report.Unread, name)
		}
	}
	if stamp := found[string(keyStamp())].value; len(stamp) == 4+len(s.opt.Network) && wire.NetworkID(stamp[4:]) != s.opt.Network {
		return nil, refuse(s.dir, WrongNetwork, fmt.Errorf("network %s, this node is of %s; it is damaged, too", wire.NetworkID(stamp[4:]), s.opt.Network))
	}
	for key, v := range found {
		if v.deleted || !s.worthKeeping([]byte(key), v.value, report) {
			delete(found, key)
		}
	}
	return found, nil
}

// worthKeeping tells whether a record belongs into the new database. Of those of the chain's state
// only what was signed does.
func (s *Store) worthKeeping(key, value []byte, report *Rescue) bool {
	switch key[0] {
	case tableLocal:
		if len(key) != 1+32 {
			return false
		}
		t, err := s.parseLocal([32]byte(key[1:]), value)
		if err == nil && t.End == "" {
			report.Live++
		}
		return err == nil
	case tableState:
		return bytes.Equal(key, keySlot()) && len(value) == 8
	default:
		return true
	}
}

// salvageTable reads a sorted table from both ends, to where it is damaged.
func (s *Store) salvageTable(path string, put func(number uint64, deleted bool, key, value []byte)) (err error) {
	defer recovered(&err)
	f, err := s.opt.FS.Open(path)
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	options := &pebble.Options{FS: s.opt.FS}
	options.EnsureDefaults()
	r, err := sstable.NewReader(context.Background(), readable, options.MakeReaderOptions())
	if err != nil {
		return errors.Join(err, readable.Close())
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var errs []error
	for _, table := range append(slices.Clone(salvageTables), tableStamp) {
		for _, backwards := range []bool{false, true} {
			failed := salvageRange(r, table, backwards, put)
			if failed == nil {
				break
			}
			errs = append(errs, failed)
		}
	}
	return errors.Join(errs...)
}

func salvageRange(r *sstable.Reader, table byte, backwards bool, put func(number uint64, deleted bool, key, value []byte)) (err error) {
	defer recovered(&err)
	it, err := r.NewIter(sstable.NoTransforms, []byte{table}, []byte{table + 1}, sstable.AssertNoBlobHandles)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	kv, next := it.SeekGE([]byte{table}, 0), it.Next
	if backwards {
		kv, next = it.SeekLT([]byte{table + 1}, 0), it.Prev
	}
	for ; kv != nil && kv.K.UserKey[0] == table; kv = next() {
		value, _, err := kv.Value(nil)
		if err != nil {
			return err
		}
		put(uint64(kv.SeqNum()), kv.Kind() != pebble.InternalKeyKindSet, kv.K.UserKey, value)
	}
	return it.Error()
}

// blockSize is that of the blocks that a log is made of, and no chunk of a record goes beyond one.
const blockSize = 32 << 10

// salvageLog reads the batches of a log. Behind a place that is damaged it goes on with the next
// block.
func (s *Store) salvageLog(path, number string, put func(number uint64, deleted bool, key, value []byte)) (err error) {
	defer recovered(&err)
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return err
	}
	f, err := s.opt.FS.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var failed error
	for from := int64(0); from < info.Size(); {
		r := newRecords(record.NewReader, io.NewSectionReader(f, from, info.Size()-from), n)
		read, err := salvageRecords(r, put)
		if !errors.Is(err, io.EOF) {
			failed = err
		}
		from += (read/blockSize + 1) * blockSize
	}
	return failed
}

// newRecords calls newReader, whose second argument has a type without a name.
func newRecords[N ~uint64](newReader func(io.Reader, N) *record.Reader, r io.Reader, number uint64) *record.Reader {
	return newReader(r, N(number))
}

// salvageRecords reads batches, and returns why it stopped and after how many bytes.
func salvageRecords(r *record.Reader, put func(number uint64, deleted bool, key, value []byte)) (read int64, err error) {
	for {
		read = r.Offset()
		next, err := r.Next()
		if err != nil {
			return read, err
		}
		batch, err := io.ReadAll(next)
		if err != nil {
			return read, err
		}
		if err := salvageBatch(batch, put); err != nil {
			return read, err
		}
	}
}

func salvageBatch(batch []byte, put func(number uint64, deleted bool, key, value []byte)) (err error) {
	header, ok := batchrepr.ReadHeader(batch)
	if !ok {
		return fmt.Errorf("a batch of %d bytes", len(batch))
	}
	number := uint64(header.SeqNum)
	for r := batchrepr.Read(batch); ; {
		kind, key, value, ok, err := r.Next()
		switch {
		case err != nil:
			return err
		case !ok:
			return nil
		case kind == pebble.InternalKeyKindLogData:
			continue // has no number
		case len(key) > 0 && bytes.IndexByte(append([]byte{tableStamp}, salvageTables...), key[0]) >= 0 &&
			(kind == pebble.InternalKeyKindSet || kind == pebble.InternalKeyKindDelete):
			put(number, kind == pebble.InternalKeyKindDelete, key, value)
		}
		number++
	}
}

func recovered(err *error) {
	if p := recover(); p != nil { // pebble, of what is damaged
		*err = fmt.Errorf("pebble: %v", p)
	}
}
