package store

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Header returns the header of the block called id, without reading more of the block than
// its first piece: NotFound, or Damaged where the bytes under that name are another's.
func (s *Store) Header(id wire.BlockID) (*wire.Header, error) {
	if b := s.recent.Load(); b != nil && b.ID() == id {
		return b.Header, nil
	}
	piece, err := s.get(keyBlockPart(id, 0))
	if err != nil {
		return nil, fmt.Errorf("header %s: %w", id, err)
	}
	// A block begins with its header, which is smaller than a piece.
	num, _, n := protowire.ConsumeTag(piece)
	err = errors.New("it does not begin with a header")
	if n > 0 && num == 1 {
		if raw, m := protowire.ConsumeBytes(piece[n:]); m > 0 {
			var h *wire.Header
			if h, err = wire.DecodeHeader(bytes.Clone(raw)); err == nil && h.ID() == id {
				return h, nil
			}
		}
	}
	if err == nil {
		err = errors.New("it holds another header")
	}
	return nil, fmt.Errorf("header %s: %w", id, refuse(s.dir, Damaged, err))
}
