package store_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/wire"
)

func TestHeaderIsReadWithoutItsBody(t *testing.T) {
	s := open(t, vfs.NewMem())
	var blocks []*wire.Block
	for height := range uint64(3) {
		b := block(height+1, height+1, wire.BlockID{byte(height)}, tx(height, 100_000)) // of several pieces
		require.NoError(t, s.PutBlock(b))
		blocks = append(blocks, b)
	}
	for _, b := range blocks { // the last one is still at hand
		h, err := s.Header(b.ID())
		require.NoError(t, err)
		require.Equal(t, b.Header.Bytes(), h.Bytes())
		require.Equal(t, b.ID(), h.ID())
	}
	_, err := s.Header(wire.BlockID{9})
	require.ErrorIs(t, err, store.NotFound)
}
