package node

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/validation"
)

// A private transaction whose nonce a block used meanwhile has an end, too.
func TestPrivateEndsWhenNobodyTakesIt(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	mine, rival := b.payment(0, 1_000), b.payment(0, 2_000)
	s, err := b.SubmitPrivately(t.Context(), mine.Bytes())
	require.NoError(t, err)
	require.Equal(t, api.Accepted, s.State)
	b.private.sweep()
	require.Equal(t, 1, b.private.len())
	require.Empty(t, b.chain.untold(0, 10), "not announced as ours")

	b.forge(t, b.chain.Head(), 2, rival)
	checked, err := b.chain.checker.StoredTx(mine)
	require.NoError(t, err)
	require.ErrorIs(t, b.chain.AddTx(t.Context(), checked, ""), validation.StaleNonce)
	require.Equal(t, api.Invalid, b.state(t, mine))
	b.private.sweep()
	require.Zero(t, b.private.len())
}

// Once it is public it is let go, and still not announced as ours.
func TestPublicIsNotPrivate(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	pooled, included := b.payment(0, 1_000), b.payment(1, 1_000)
	for _, tx := range []interface{ Bytes() []byte }{pooled, included} {
		_, err := b.SubmitPrivately(t.Context(), tx.Bytes())
		require.NoError(t, err)
	}
	checked, err := b.chain.checker.StoredTx(pooled)
	require.NoError(t, err)
	require.NoError(t, b.chain.AddTx(t.Context(), checked, "a peer"))
	require.Equal(t, api.Pending, b.state(t, pooled))
	b.private.sweep()
	require.Equal(t, 1, b.private.len())
	require.Empty(t, b.chain.untold(0, 10))

	b.forge(t, b.chain.Head(), 2, pooled, included)
	b.private.sweep()
	require.Zero(t, b.private.len())
	require.Equal(t, api.Included, b.state(t, included))
}

// No more are on their way than the bound, and who is refused may try again.
func TestPrivateIsBounded(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	for n := range maxPrivate {
		checked, err := b.chain.checker.StoredTx(b.payment(uint64(n), 1_000))
		require.NoError(t, err)
		b.private.add(checked)
	}
	_, err := b.SubmitPrivately(t.Context(), b.payment(maxPrivate, 1_000).Bytes())
	require.ErrorIs(t, err, validation.PoolFull)
}
