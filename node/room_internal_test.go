package node

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// R145: a wallet's transactions that wait for others keep their places, also one that a peer had
// brought before it was accepted.
func TestNoPeerPushesOutWhatAWalletHasWaiting(t *testing.T) {
	b := newWalletsBench(t, func(c *mempool.Config) { c.MaxWaiting = wallets })
	var ours []*wire.Transaction
	for i := range wallets / 2 {
		tx := b.sign(byte(101+i), wire.TxBody{Nonce: 1, Fee: 1_000})
		if i == 0 {
			require.NoError(t, b.fromPeer(t, tx))
		}
		require.Equal(t, api.Accepted, b.submit(t, tx))
		ours = append(ours, tx)
	}
	for nonce := range uint64(20) {
		err := b.fromPeer(t, b.sign(100, wire.TxBody{Nonce: wallets + 1 + nonce, Fee: 1_000_000}))
		if nonce >= wallets/2 {
			require.ErrorIs(t, err, validation.PoolFull)
		}
	}
	for _, tx := range ours {
		require.True(t, b.chain.HasTx(tx.ID()))
		require.Equal(t, api.Accepted, b.state(t, tx))
	}
}

// R145: what was accepted and waits leaves for what can be confirmed, is told nothing of an end,
// outlives a kill, and comes back once that has been.
func TestAcceptedThatWaitsMakesRoomAndComesBack(t *testing.T) {
	b := newWalletsBench(t, func(c *mempool.Config) { c.MaxCount = 3 })
	waits := b.sign(101, wire.TxBody{Nonce: 1, Fee: 1_000})
	require.Equal(t, api.Accepted, b.submit(t, waits))
	sub := b.Backend().Subscribe(nil)
	var others []*wire.Transaction
	for nonce := range uint64(3) {
		tx := b.sign(100, wire.TxBody{Nonce: wallets + nonce, Fee: 5_000})
		require.NoError(t, b.fromPeer(t, tx))
		others = append(others, tx)
	}
	require.False(t, b.chain.HasTx(waits.ID()))
	require.Equal(t, api.Accepted, b.state(t, waits))
	require.NotContains(t, kinds(t, sub), api.TxEvicted)

	b.restart(t)
	require.Equal(t, api.Accepted, b.state(t, waits))
	b.forge(t, b.chain.Head(), 30, append(others, b.sign(101, wire.TxBody{Fee: 1_000}))...)
	b.chain.retryEarly()
	require.Equal(t, api.Pending, b.state(t, waits))
}

// Where too much waits beside the pool already, it has ended, and its user is told.
func TestAcceptedThatWaitsEndsWhereThereIsNoPlaceBesideThePool(t *testing.T) {
	b := newWalletsBench(t, func(c *mempool.Config) { c.MaxCount, c.MaxPerSender = 3, 3 })
	var waits []*wire.Transaction
	for nonce := range uint64(2) {
		waits = append(waits, b.sign(101, wire.TxBody{Nonce: 1 + nonce, Fee: 1_000}))
		require.Equal(t, api.Accepted, b.submit(t, waits[nonce]))
	}
	sub := b.Backend().Subscribe(nil)
	for i := range byte(3) {
		require.NoError(t, b.fromPeer(t, b.sign(102+i, wire.TxBody{Fee: 5_000})))
	}
	require.Equal(t, api.Accepted, b.state(t, waits[1]))
	require.Equal(t, api.Evicted, b.state(t, waits[0]))
	require.Contains(t, kinds(t, sub), api.TxEvicted)
}

// R146: what follows what a lost block held is dear, and stays; what is worth least leaves, and
// where that was accepted its user is told.
func TestARollbackCostsWhatIsWorthLeast(t *testing.T) {
	const most = wallets
	b := newWalletsBench(t, func(c *mempool.Config) { c.MaxCount = most })
	fork := b.chain.Head()
	var lost, dear, cheap []*wire.Transaction
	for nonce := range uint64(most / 2) {
		lost = append(lost, b.sign(101, wire.TxBody{Nonce: nonce, Fee: 2_000}))
		require.Equal(t, api.Pending, b.submit(t, lost[nonce]))
	}
	b.forge(t, fork, 21, lost...)
	for i := range most / 2 {
		dear = append(dear, b.sign(101, wire.TxBody{Nonce: uint64(most/2 + i), Fee: 9_000}))
		require.Equal(t, api.Pending, b.submit(t, dear[i]))
		cheap = append(cheap, b.sign(byte(102+i), wire.TxBody{Fee: 1_000}))
		require.Equal(t, api.Pending, b.submit(t, cheap[i]))
	}
	sub := b.Backend().Subscribe(nil)
	b.forge(t, b.forge(t, fork, 22), 23)
	for i := range most / 2 {
		require.Equal(t, api.Pending, b.state(t, lost[i]))
		require.Equal(t, api.Pending, b.state(t, dear[i]))
		require.Equal(t, api.Evicted, b.state(t, cheap[i]))
	}
	evicted := 0
	for _, kind := range kinds(t, sub) {
		if kind == api.TxEvicted {
			evicted++
		}
	}
	require.Equal(t, most/2, evicted)
	b.restart(t)
	for i := range most / 2 {
		require.Equal(t, api.Evicted, b.state(t, cheap[i]))
	}
}

// One that is too old to come in like others is given back, and has to pay for its room all the
// same: what did not stay is not called pooled.
func TestWhatComesBackAloneIsTrimmedToo(t *testing.T) {
	b := newWalletsBench(t, func(c *mempool.Config) { c.MaxCount = 1 })
	ours := b.sign(101, wire.TxBody{Fee: 1_000, ExpiresAt: uint64(b.clock.UnixMilli()) + 5_000})
	_, err := b.SubmitPrivately(t.Context(), ours.Bytes())
	require.NoError(t, err)
	require.NoError(t, b.fromPeer(t, b.sign(102, wire.TxBody{Fee: 5_000})))
	b.clock = b.clock.Add(3 * time.Second)
	checked, err := b.chain.checker.StoredTx(ours)
	require.NoError(t, err)
	require.ErrorIs(t, b.chain.AddTx(t.Context(), checked, ""), validation.PoolFull)
	require.Equal(t, api.Evicted, b.state(t, ours))
}
