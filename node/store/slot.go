package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// SignedSlot returns the last slot that SetSignedSlot was told, 0 before that.
func (s *Store) SignedSlot() (uint64, error) {
	v, err := s.get(keySlot())
	switch {
	case errors.Is(err, NotFound):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read the signed slot: %w", err)
	case len(v) != 8:
		return 0, refuse(s.dir, Damaged, fmt.Errorf("signed slot of %d bytes", len(v)))
	}
	return binary.BigEndian.Uint64(v), nil
}

// SetSignedSlot notes that a header of slot is about to be signed. A producer
// that calls it first, and signs nothing for slots up to SignedSlot, never
// signs two headers for one slot, whenever it crashes.
func (s *Store) SetSignedSlot(slot uint64) error {
	b := new(pebble.Batch)
	err := b.Set(keySlot(), binary.BigEndian.AppendUint64(nil, slot), nil)
	if err == nil {
		err = s.write(b)
	}
	if err != nil {
		return fmt.Errorf("note that slot %d is signed: %w", slot, err)
	}
	return nil
}
