package wire_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/wire"
)

func TestIDsAsText(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 4)
	type ids struct {
		Network wire.NetworkID
		Tx      wire.TxID
		Block   wire.BlockID
		Hash    wire.Hash
	}
	in := `{"Network":"` + text + `","Tx":"` + text + `","Block":"` + text + `","Hash":"` + text + `"}`
	var v ids
	require.NoError(t, json.Unmarshal([]byte(in), &v))
	out, err := json.Marshal(v)
	require.NoError(t, err)
	require.Equal(t, in, string(out))
	require.Equal(t, text, v.Network.String())
	require.Equal(t, text, v.Hash.String())
	require.Equal(t, text[:16], v.Network.Short())
	require.Equal(t, wire.BlockID(v.Network), v.Network.GenesisBlock())
	require.False(t, v.Network.IsZero() || v.Tx.IsZero() || v.Block.IsZero() || v.Hash.IsZero())
	require.True(t, wire.NetworkID{}.IsZero() && wire.TxID{}.IsZero() && wire.BlockID{}.IsZero() && wire.Hash{}.IsZero())

	tx, err := wire.ParseTxID(text)
	require.NoError(t, err)
	require.Equal(t, v.Tx, tx)
	block, err := wire.ParseBlockID(strings.ToUpper(text))
	require.NoError(t, err)
	require.Equal(t, v.Block, block)
	network, err := wire.ParseNetworkID(text)
	require.NoError(t, err)
	require.Equal(t, v.Network, network)
}

func TestParseIDRefuses(t *testing.T) {
	for _, bad := range []string{"", "00", strings.Repeat("0", 63), strings.Repeat("0", 65), strings.Repeat("0", 63) + "g", strings.Repeat("ä", 32)} {
		id, err := wire.ParseTxID(bad)
		require.ErrorContains(t, err, "transaction id")
		require.True(t, id.IsZero())
		require.Error(t, id.UnmarshalText([]byte(bad)))
		_, err = wire.ParseBlockID(bad)
		require.ErrorContains(t, err, "block id")
		_, err = wire.ParseNetworkID(bad)
		require.ErrorContains(t, err, "network id")
	}
}

// TestCloneOwnsItsMemory: a clone is the same transaction without the block
// that it came in.
func TestCloneOwnsItsMemory(t *testing.T) {
	raw := paid(wire.NetworkID{7}, 1, 3).Bytes()
	shared := append(append([]byte("before"), raw...), "after"...)
	tx, err := wire.DecodeTransaction(shared[6 : 6+len(raw)])
	require.NoError(t, err)
	clone := tx.Clone()
	clear(shared)
	require.Equal(t, raw, clone.Bytes())
	again, err := wire.DecodeTransaction(raw)
	require.NoError(t, err)
	require.Equal(t, again, clone)
	require.Equal(t, again.Body(), clone.Body())
}

// TestHeaderKeepsItsOwnBody: who made a header can go on using the body.
func TestHeaderKeepsItsOwnBody(t *testing.T) {
	body := block(wire.NetworkID{7}).Header.Body()
	mine := *body
	mine.App = []byte("app")
	h := wire.NewHeader(&mine, wire.Signature{1})
	mine.Height, mine.App[0] = 99, 'x'
	decoded, err := wire.DecodeHeader(h.Bytes())
	require.NoError(t, err)
	require.Equal(t, h, decoded)
}

// TestPartsHaveNoRoom: who appends to a part of a message does not write into
// the part that follows.
func TestPartsHaveNoRoom(t *testing.T) {
	tx, err := wire.DecodeTransaction(paid(wire.NetworkID{7}, 1, 3).Bytes())
	require.NoError(t, err)
	require.Equal(t, len(tx.Body()), cap(tx.Body()))
	require.Equal(t, len(tx.Clone().Body()), cap(tx.Clone().Body()))
	made := wire.NewTransaction(tx.Body(), tx.Signature())
	require.Equal(t, len(made.Body()), cap(made.Body()))
	body, err := wire.DecodeTxBody(append(append([]byte{}, tx.Body()...), 0)[:tx.Size()-66-3])
	require.NoError(t, err)
	require.Equal(t, len(body.Payload), cap(body.Payload))
}
