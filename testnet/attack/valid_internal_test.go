package attack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
	"github.com/grapevine-p2p/grapevine/wire"
)

// There is nothing wrong with valid spam, and it waits for nothing: each
// account sends once before any sends again.
func TestValidSpamIsValid(t *testing.T) {
	a := &scenario.Attacker{Kind: validSpam, Params: map[string]string{"size": "300", "fee": "2", "accounts": "120"}}
	r, err := ruleOf(a)
	require.NoError(t, err)
	genesis := &wire.Genesis{Limits: wire.DefaultLimits()}
	genesis.Limits.MinFeePerByte = 5
	n := newNode(sim.Seat{Number: 3, Attack: a, Genesis: genesis}, r)
	v := r.(*valid)
	owned := make(map[wire.Address]bool)
	for _, account := range Accounts(a, 3) {
		owned[account] = true
	}
	require.Len(t, owned, 120)
	seen := make(map[wire.Address]bool)
	for range 100 {
		tx, err := wire.DecodeTransaction(v.sign(n))
		require.NoError(t, err)
		body, err := wire.DecodeTxBody(tx.Body())
		require.NoError(t, err)
		require.True(t, wire.VerifyTx(n.network, body.Sender, tx))
		require.True(t, owned[body.Sender])
		require.False(t, seen[body.Sender])
		seen[body.Sender] = true
		require.InDelta(t, 300, tx.Size(), 4)
		require.EqualValues(t, 2*5*300, body.Fee)
		require.Zero(t, body.Nonce)
		v.sent++
	}
	v.sent = 120
	tx, err := wire.DecodeTransaction(v.sign(n))
	require.NoError(t, err)
	body, err := wire.DecodeTxBody(tx.Body())
	require.NoError(t, err)
	require.EqualValues(t, 1, body.Nonce)
	require.NotEqual(t, Accounts(a, 3)[0], Accounts(a, 4)[0])
	require.Empty(t, Accounts(&scenario.Attacker{Kind: "silent"}, 3))
}
