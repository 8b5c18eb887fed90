package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/grapevine-p2p/grapevine/wire"
)

// MaxEnded is how many ended local transactions are remembered, for wallets
// that ask later; the oldest make room. Their bytes are not kept, so that they take a
// few megabytes at most, however large they were.
const MaxEnded = 20_000

// maxEnd bounds the text that says how a transaction ended.
const maxEnd = 255

// LocalTx is a transaction that this node accepted from a user of its own.
type LocalTx struct {
	Tx  *wire.Transaction // nil for one that has ended: of those only that is kept
	At  time.Time         // when it was accepted
	End string            // how it ended; empty while it is the node's duty
	seq uint64            // place among the ended
}

// ended is the range of sequence numbers in use by ended transactions.
type ended struct{ first, next uint64 }

// PutLocalTx keeps tx, and is done when it is on disk. Putting one again that
// has not ended changes nothing; one that has ended starts anew. Calls at the
// same time share a sync.
func (s *Store) PutLocalTx(tx *wire.Transaction, at time.Time) error {
	s.local.Lock()
	old, ok, err := s.LocalTx(tx.ID())
	b := new(pebble.Batch)
	switch {
	case err != nil:
	case ok && old.End == "": // on disk already, or on its way there
		err = b.LogData(nil, nil) // a sync now covers both
	default:
		err = b.Set(keyLocal(tx.ID()), appendLocal(nil, LocalTx{Tx: tx, At: at}), nil)
	}
	if err != nil {
		s.local.Unlock()
	} else {
		err = s.writeThen(b, s.local.Unlock)
	}
	if err != nil {
		return fmt.Errorf("keep transaction %s: %w", tx.ID(), err)
	}
	return nil
}

// LocalTx returns the record of a local transaction, if there is one.
func (s *Store) LocalTx(id wire.TxID) (LocalTx, bool, error) {
	v, err := s.get(keyLocal(id))
	if errors.Is(err, NotFound) {
		return LocalTx{}, false, nil
	} else if err != nil {
		return LocalTx{}, false, fmt.Errorf("transaction %s: %w", id, err)
	}
	t, err := s.parseLocal(id, v)
	return t, err == nil, err
}

// LocalTxs returns the local transactions that have not ended, in the order of
// their acceptance.
func (s *Store) LocalTxs() ([]LocalTx, error) {
	var list []LocalTx
	err := s.scan([]byte{tableLocal}, []byte{tableLocal + 1}, func(key, value []byte) error {
		if len(key) != 1+len(wire.TxID{}) {
			return refuse(s.dir, Damaged, fmt.Errorf("local transaction's key of %d bytes", len(key)))
		}
		t, err := s.parseLocal(wire.TxID(key[1:]), slices.Clone(value))
		if err == nil && t.End == "" {
			list = append(list, t)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("local transactions: %w", err)
	}
	slices.SortStableFunc(list, func(a, b LocalTx) int { return cmp.Compare(a.At.UnixMilli(), b.At.UnixMilli()) })
	return list, nil
}

// EndLocalTx notes how a local transaction ended. It does nothing for one that
// is not local or has ended before.
func (s *Store) EndLocalTx(id wire.TxID, end string) error {
	return s.EndLocalTxs(end, id)
}

// EndLocalTxs is EndLocalTx for several that ended the same way, with one sync.
func (s *Store) EndLocalTxs(end string, ids ...wire.TxID) error {
	if end == "" || len(end) > maxEnd {
		return fmt.Errorf("end transactions: a text of %d bytes, want 1 to %d", len(end), maxEnd)
	}
	s.local.Lock()
	defer s.local.Unlock()
	b := new(pebble.Batch)
	next := s.ended
	ids = slices.Compact(slices.SortedFunc(slices.Values(ids), func(a, b wire.TxID) int { return bytes.Compare(a[:], b[:]) }))
	for _, id := range ids {
		t, ok, err := s.LocalTx(id)
		if err != nil {
			return err
		}
		if !ok || t.End != "" {
			continue
		}
		t.End, t.seq = end, next.next
		if err := errors.Join(
			b.Set(keyLocal(id), appendLocal(nil, t), nil),
			b.Set(keyEnded(t.seq), id[:], nil),
		); err != nil {
			return err
		}
		next.next++
	}
	if next == s.ended {
		return s.Err() // a database that failed may show what it did not keep
	}
	if err := s.pruneEnded(b, &next); err != nil {
		return err
	}
	if err := s.write(b); err != nil {
		return fmt.Errorf("end transactions: %w", err)
	}
	s.ended = next
	return nil
}

// pruneEnded forgets the oldest ended transactions over the bound.
func (s *Store) pruneEnded(b *pebble.Batch, e *ended) error {
	for ; e.next-e.first > MaxEnded; e.first++ {
		v, err := s.get(keyEnded(e.first))
		if errors.Is(err, NotFound) { // it was lost with a damaged store
			continue
		} else if err != nil {
			return err
		} else if len(v) != len(wire.TxID{}) {
			return refuse(s.dir, Damaged, fmt.Errorf("ended transaction's entry of %d bytes", len(v)))
		}
		id := wire.TxID(v)
		// One that was put again since has another place, or none.
		if t, ok, err := s.LocalTx(id); err != nil {
			return err
		} else if ok && t.End != "" && t.seq == e.first {
			if err := b.Delete(keyLocal(id), nil); err != nil {
				return err
			}
		}
		if err := b.Delete(keyEnded(e.first), nil); err != nil {
			return err
		}
	}
	return nil
}

func (d *database) loadEnded() error {
	first := true
	return d.scan([]byte{tableEnded}, []byte{tableEnded + 1}, func(key, _ []byte) error {
		if len(key) != 1+8 {
			return refuse(d.store.dir, Damaged, fmt.Errorf("ended transaction's key of %d bytes", len(key)))
		}
		seq := binary.BigEndian.Uint64(key[1:])
		if first {
			d.ended.first, first = seq, false
		}
		d.ended.next = seq + 1
		return nil
	})
}

func appendLocal(b []byte, t LocalTx) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(t.At.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, t.seq)
	b = append(append(b, byte(len(t.End))), t.End...)
	if t.End != "" {
		return b
	}
	return append(b, t.Tx.Bytes()...)
}

// parseLocal reads a record; the transaction keeps v. Former versions kept those that had ended, too.
func (s *Store) parseLocal(id wire.TxID, v []byte) (t LocalTx, err error) {
	const fixed = 8 + 8 + 1
	if len(v) < fixed || len(v) < fixed+int(v[16]) {
		return t, refuse(s.dir, Damaged, fmt.Errorf("record of transaction %s is cut short", id))
	}
	t.At = time.UnixMilli(int64(binary.BigEndian.Uint64(v)))
	t.seq = binary.BigEndian.Uint64(v[8:])
	end := fixed + int(v[16])
	t.End = string(v[fixed:end])
	if t.End != "" {
		return t, nil
	}
	t.Tx, err = wire.DecodeTransaction(v[end:])
	if err == nil && t.Tx.ID() != id {
		err = fmt.Errorf("it is %s", t.Tx.ID())
	}
	if err != nil {
		return t, refuse(s.dir, Damaged, fmt.Errorf("record of transaction %s: %w", id, err))
	}
	return t, nil
}
