package wire_test

import (
	"bytes"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/wire"
)

// TestSmallOrder holds the table against the curve, and shows why genesis needs
// it: nobody's key, and yet a signature.
//
// R51: no key of small order in a genesis.
func TestSmallOrder(t *testing.T) {
	network := wire.NetworkID(fill(50, 32))
	forged := wire.NewTransaction([]byte("any body"), wire.Signature(append([]byte{1}, make([]byte, 63)...)))
	for i, encoding := range smallOrder {
		key := wire.Address(encoding)
		require.True(t, decompress(t, encoding).IsSmallOrder())
		require.True(t, key.SmallOrder(), i)
		require.True(t, wire.VerifyTx(network, key, forged), "anybody signs for key %d", i)
		if key.IsZero() {
			continue // refused by another name
		}
		g := genesis()
		g.Allocations = []wire.Allocation{{Address: key, Amount: 1}}
		require.ErrorContains(t, g.Validate(), "small order")
	}
	rapid.Check(t, func(t *rapid.T) {
		// Near the ones of the table, and anywhere.
		encoding := bytes.Clone(rapid.SampledFrom(smallOrder).Draw(t, "near"))
		if rapid.Bool().Draw(t, "far") {
			copy(encoding, rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "encoding"))
		}
		encoding[rapid.IntRange(0, 31).Draw(t, "at")] ^= rapid.Byte().Draw(t, "change")
		var c curve.CompressedEdwardsY
		var p curve.EdwardsPoint
		_, err := c.SetBytes(encoding)
		require.NoError(t, err)
		_, err = p.SetCompressedY(&c)
		require.Equal(t, err == nil && p.IsSmallOrder(), wire.Address(encoding).SmallOrder(), "%x", encoding)
	})
}
