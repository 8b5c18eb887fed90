package node

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
)

// Both blocks of a turn come by sync, as they do where a partition heals: that convicts their
// producer as gossip would, is kept, and is nobody else's fault.
//
// R27: of two headers of one producer for one slot the second is evidence; both stay acceptable.
func TestSyncedEquivocationIsEvidence(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	genesis := b.chain.Head()
	sub := b.Backend().Subscribe(nil)
	b.forge(t, genesis, 2, b.payment(0, 1_000))
	first := b.forge(t, genesis, 3)
	require.NotContains(t, kinds(t, sub), api.Evidence)
	b.restart(t)
	sub = b.Backend().Subscribe(nil)
	second := b.forge(t, genesis, 2)
	b.forge(t, second, 3) // the same producer as of first, which is on another parent
	require.Contains(t, kinds(t, sub), api.Evidence)
	for range 2 {
		list, err := b.Backend().Evidence(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.ElementsMatch(t, []uint64{2, 3}, []uint64{list[0].Slot, list[1].Slot})
		require.NoError(t, b.chain.archive.write())
		b.restart(t)
	}
	require.True(t, b.chain.HasBlock(first.ID) && b.chain.HasBlock(second.ID), "both are acceptable")
}

// A block whose body is invalid was signed all the same.
func TestAnInvalidBlockOfATurnIsEvidence(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	genesis := b.chain.Head()
	b.forge(t, genesis, 2)
	_, err := b.tryForge(b.chain.Head(), 3, b.payment(5, 1_000))
	require.Error(t, err)
	b.forge(t, genesis, 3)
	list, err := b.Backend().Evidence(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
}
