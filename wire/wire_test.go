package wire_test

import (
	"crypto/ed25519"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/wire"
)

func key(n byte) ed25519.PrivateKey {
	seed := [32]byte{n}
	return ed25519.NewKeyFromSeed(seed[:])
}

func address(n byte) wire.Address { return wire.Address(key(n).Public().(ed25519.PublicKey)) }

func transfer(n byte, nonce uint64) *wire.TxBody {
	return &wire.TxBody{Version: wire.TxVersion, Sender: address(n), Nonce: nonce, Fee: 500, To: address(n + 1), Amount: 7}
}

func block(network wire.NetworkID, txs ...*wire.Transaction) *wire.Block {
	b := &wire.Block{Txs: txs}
	size := 0
	for _, tx := range txs {
		size += tx.Size()
	}
	salt := wire.Salt{1, 2, 3}
	b.Header = wire.SignHeader(network, key(9), &wire.HeaderBody{
		Version: wire.HeaderVersion, Height: 1, Parent: network.GenesisBlock(), Producer: address(9), FeeRecipient: address(9),
		Slot: 4, Time: 4_000, TxRoot: wire.TxRoot(b.TxIDs()), TxCount: uint32(len(txs)), Size: uint32(size), Salt: salt,
		ShortIDsHash: wire.ShortIDsHash(wire.ShortIDs(salt, b.TxIDs())),
	})
	return b
}

func TestTransactionRoundTrip(t *testing.T) {
	network := wire.NetworkID{7}
	body := transfer(1, 3)
	body.Payload = []byte("hello")
	tx := wire.SignTx(network, key(1), body)
	again, err := wire.DecodeTransaction(tx.Bytes())
	require.NoError(t, err)
	require.Equal(t, tx, again)
	require.Equal(t, tx, tx.Clone())
	decoded, err := wire.DecodeTxBody(again.Body())
	require.NoError(t, err)
	require.Equal(t, body, decoded)
	require.True(t, wire.VerifyTx(network, body.Sender, again))
	require.False(t, wire.VerifyTx(wire.NetworkID{8}, body.Sender, again))
	require.False(t, wire.VerifyTx(network, address(2), again))
}

func TestBlockRoundTrip(t *testing.T) {
	network := wire.NetworkID{7}
	b := block(network, wire.SignTx(network, key(1), transfer(1, 0)), wire.SignTx(network, key(2), transfer(2, 0)))
	encoded := b.AppendTo(nil)
	require.Len(t, encoded, b.Size())
	again, err := wire.DecodeBlock(encoded)
	require.NoError(t, err)
	require.Equal(t, b, again)
	require.True(t, wire.VerifyHeader(network, again.Header))
	require.False(t, wire.VerifyHeader(wire.NetworkID{8}, again.Header))

	compact, err := wire.DecodeCompactBlock(wire.Compact(b).AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, wire.Compact(b), compact)
	require.False(t, wire.IsEvidence(compact.AppendTo(nil)))

	other := block(network)
	evidence := &wire.Evidence{First: b.Header, Second: other.Header}
	require.True(t, wire.IsEvidence(evidence.AppendTo(nil)))
	decoded, err := wire.DecodeEvidence(evidence.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, evidence, decoded)
}

func TestLocatorHeights(t *testing.T) {
	var got []uint64
	for i := range 6 {
		got = append(got, wire.LocatorHeight(10, i))
	}
	require.Equal(t, []uint64{10, 9, 7, 3, 0, 0}, got)
	require.Zero(t, wire.LocatorHeight(1<<63, 64), "no overflow, however long the list")
	require.EqualValues(t, 1, wire.LocatorHeight(1<<63, 63))
}
