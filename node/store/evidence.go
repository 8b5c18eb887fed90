package store

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Evidence is an equivocation, and when this node learnt of it.
type Evidence struct {
	Proof *wire.Evidence
	At    time.Time
}

// PutEvidence keeps evidence, and is done when it is on disk. The caller bounds
// how much there is of one producer.
func (s *Store) PutEvidence(e Evidence) error {
	b := new(pebble.Batch)
	body := e.Proof.First.Body()
	value := binary.BigEndian.AppendUint64(nil, uint64(e.At.UnixMilli()))
	err := b.Set(keyEvidence(body.Producer, body.Slot), e.Proof.AppendTo(value), nil)
	if err == nil {
		err = s.write(b)
	}
	if err != nil {
		return fmt.Errorf("keep evidence of slot %d: %w", body.Slot, err)
	}
	return nil
}

// Evidence returns all that was kept, by time.
func (s *Store) Evidence() ([]Evidence, error) {
	var list []Evidence
	err := s.scan([]byte{tableEvidence}, []byte{tableEvidence + 1}, func(key, value []byte) error {
		if len(value) < 8 {
			return refuse(s.dir, Damaged, fmt.Errorf("evidence of %d bytes", len(value)))
		}
		proof, err := wire.DecodeEvidence(slices.Clone(value[8:]))
		if err != nil {
			return refuse(s.dir, Damaged, fmt.Errorf("evidence: %w", err))
		}
		list = append(list, Evidence{proof, time.UnixMilli(int64(binary.BigEndian.Uint64(value)))})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	slices.SortStableFunc(list, func(a, b Evidence) int { return a.At.Compare(b.At) })
	return list, nil
}
