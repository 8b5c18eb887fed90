package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/grapevine-p2p/grapevine/wire"
)

// blockPart is the size of the pieces that a block is kept in. On a checksum
// that is wrong pebble tries every single bit of the value, which takes time in
// the square of its size: hours for a whole block, a moment for a piece.
const blockPart = 32 << 10

// PutBlock keeps b. It is on disk, whole, when PutBlock returns nil. A block
// belongs to the chain only once Commit was told so: one put and never committed
// is not among those that Load returns.
func (s *Store) PutBlock(b *wire.Block) error {
	batch := new(pebble.Batch)
	err := setBlock(batch, b)
	if err == nil {
		err = s.write(batch)
	}
	if err != nil {
		return fmt.Errorf("put block %s: %w", b.ID(), err)
	}
	s.recent.Store(b)
	return nil
}

func setBlock(batch *pebble.Batch, b *wire.Block) error {
	part := uint16(0)
	for piece := range slices.Chunk(b.AppendTo(make([]byte, 0, b.Size())), blockPart) {
		if err := batch.Set(keyBlockPart(b.ID(), part), piece, nil); err != nil {
			return err
		}
		part++
	}
	return nil
}

func dropBlock(b *pebble.Batch, id wire.BlockID) error {
	return b.DeleteRange(keyBlockPart(id, 0), keyBlockPart(id, math.MaxUint16), nil)
}

// Block returns the block called id, NotFound, or Damaged where the bytes under
// that name are another's. Nobody may change the block.
func (s *Store) Block(id wire.BlockID) (*wire.Block, error) {
	if b := s.recent.Load(); b != nil && b.ID() == id {
		return b, nil
	}
	var raw []byte
	err := s.scan(keyBlockPart(id, 0), keyBlockPart(id, math.MaxUint16), func(_, piece []byte) error {
		raw = append(raw, piece...)
		return nil
	})
	if err == nil && len(raw) == 0 {
		err = NotFound
	}
	if err != nil {
		return nil, fmt.Errorf("block %s: %w", id, err)
	}
	b, err := wire.DecodeBlock(raw)
	if err == nil && b.ID() != id {
		err = fmt.Errorf("it holds block %s", b.ID())
	}
	if err != nil {
		return nil, fmt.Errorf("block %s: %w", id, refuse(s.dir, Damaged, err))
	}
	return b, nil
}

// BlockAt returns the block of the best chain at height, if there is one.
func (s *Store) BlockAt(height uint64) (id wire.BlockID, ok bool, err error) {
	v, err := s.get(keyHeight(height))
	switch {
	case errors.Is(err, NotFound):
		return id, false, nil
	case err != nil:
		return id, false, err
	case len(v) != len(id):
		return id, false, refuse(s.dir, Damaged, fmt.Errorf("entry of height %d has %d bytes", height, len(v)))
	}
	return wire.BlockID(v), true, nil
}

// Place is where in the best chain something is.
type Place struct {
	Block  wire.BlockID
	Height uint64
}

func (p Place) append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(append(b, p.Block[:]...), p.Height)
}

// TxPlace returns the block of the best chain that holds the transaction, if
// one does.
func (s *Store) TxPlace(id wire.TxID) (p Place, ok bool, err error) {
	v, err := s.get(keyTx(id))
	switch {
	case errors.Is(err, NotFound):
		return p, false, nil
	case err != nil:
		return p, false, err
	case len(v) != len(p.Block)+8:
		return p, false, refuse(s.dir, Damaged, fmt.Errorf("entry of transaction %s has %d bytes", id, len(v)))
	}
	return Place{wire.BlockID(v[:len(p.Block)]), binary.BigEndian.Uint64(v[len(p.Block):])}, true, nil
}

// TxBlock is TxPlace without the height.
func (s *Store) TxBlock(id wire.TxID) (wire.BlockID, bool, error) {
	p, ok, err := s.TxPlace(id)
	return p.Block, ok, err
}
