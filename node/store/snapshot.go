package store

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/grapevine-p2p/grapevine/wire"
)

// MaxSnapshot bounds the file of a snapshot, in bytes: some hundred thousand
// transactions of ordinary size.
const MaxSnapshot = 64 << 20

// The snapshot is a file of its own, and a cache: whatever happens to it, no
// promise is broken. Each message is preceded by its length, the last one is
// followed by a length of zero and SHA-256 of all before it: what comes from a
// snapshot is not verified again, so no torn file may pass for a whole one.
const (
	snapshotMagic = "grapevine mempool 2\n"
	lengthSize    = 4
)

// WriteSnapshot replaces the snapshot by one of messages, as many from the first
// as fit into MaxSnapshot, and returns how many those are. On error the old one
// stays. It is not synced: one that a loss of power tore is not believed.
func (s *Store) WriteSnapshot(messages iter.Seq[[]byte]) (count int, err error) {
	if err := s.Err(); err != nil {
		return 0, fmt.Errorf("write snapshot: %w", err) // leave the space to those who need it
	}
	files, name := s.opt.FS, s.opt.FS.PathJoin(s.dir, snapshotName)
	f, err := files.Create(name+newSuffix, vfs.WriteCategoryUnspecified)
	if err == nil {
		count, err = writeSnapshot(f, s.opt.Network, messages)
		err = errors.Join(err, f.Close())
	}
	if err == nil {
		err = files.Rename(name+newSuffix, name)
	}
	if err != nil {
		_ = files.Remove(name + newSuffix)
		return 0, fmt.Errorf("write snapshot %s: %w", name, err)
	}
	return count, nil
}

func writeSnapshot(f io.Writer, network wire.NetworkID, messages iter.Seq[[]byte]) (count int, err error) {
	sum := sha256.New()
	buffered := bufio.NewWriterSize(f, 1<<18)
	size := 0
	var own []byte // a vfs.File may change what it is given to write
	put := func(b []byte) bool {
		if err == nil {
			size += len(b)
			_, _ = sum.Write(b) // never fails
			own = append(own[:0], b...)
			_, err = buffered.Write(own)
		}
		return err == nil
	}
	put(append([]byte(snapshotMagic), network[:]...))
	length := make([]byte, lengthSize)
	for m := range messages {
		if size+len(m)+2*lengthSize+sha256.Size > MaxSnapshot {
			break
		}
		binary.BigEndian.PutUint32(length, uint32(len(m)))
		if len(m) == 0 || !put(length) || !put(m) {
			break
		}
		count++
	}
	put(make([]byte, lengthSize))
	put(sum.Sum(nil))
	return count, errors.Join(err, buffered.Flush())
}

// ReadSnapshot returns the messages of the snapshot, none if there is no
// snapshot. One that is damaged, or of another network, is removed, and the
// error wraps Damaged.
func (s *Store) ReadSnapshot() ([][]byte, error) {
	files, name := s.opt.FS, s.opt.FS.PathJoin(s.dir, snapshotName)
	f, err := files.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read snapshot: %w", err)
	}
	all, err := io.ReadAll(io.LimitReader(f, MaxSnapshot+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read snapshot %s: %w", name, err)
	}
	messages, ok := parseSnapshot(all, s.opt.Network)
	if !ok {
		return nil, errors.Join(fmt.Errorf("read snapshot %s: %w", name, Damaged), files.Remove(name))
	}
	return messages, nil
}

// parseSnapshot keeps b.
func parseSnapshot(b []byte, network wire.NetworkID) (messages [][]byte, ok bool) {
	head := append([]byte(snapshotMagic), network[:]...)
	if len(b) > MaxSnapshot || len(b) < len(head)+lengthSize+sha256.Size || string(b[:len(head)]) != string(head) {
		return nil, false
	}
	body, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if sha256.Sum256(body) != [sha256.Size]byte(sum) {
		return nil, false
	}
	for body = body[len(head):]; len(body) >= lengthSize; {
		n := int(binary.BigEndian.Uint32(body))
		body = body[lengthSize:]
		if n == 0 {
			return messages, len(body) == 0
		}
		if n > len(body) {
			return nil, false
		}
		messages = append(messages, body[:n:n])
		body = body[n:]
	}
	return nil, false
}
