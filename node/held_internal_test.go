package node

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation/ledger"
)

// What waits for a failed disk is bounded by number and by bytes.
func TestHeldIsBounded(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	ref := b.forge(t, b.chain.Head(), 1, b.payment(0, 1_000))
	block, err := b.store.Block(ref.ID)
	require.NoError(t, err)
	checked, err := b.chain.checker.Stored(block)
	require.NoError(t, err)
	news := headNews{added: checked, change: &ledger.Change{}}

	var h held
	for range maxHeld {
		require.True(t, h.add(news))
	}
	require.Equal(t, maxHeld*block.Size(), h.bytes)
	require.False(t, h.add(news))
	h.written()
	require.True(t, h.add(news), "room again")

	h = held{}
	require.True(t, h.add(news))
	h.bytes = maxHeldBytes - block.Size()
	require.True(t, h.add(news))
	require.False(t, h.add(news))
}
