package node

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// wallets is how many keys, from 101 on, newWalletsBench gives money.
const wallets = 6

// newWalletsBench is a bench with that policy, at slot 20, on which the wallets have money.
// The next nonce of the bank, key 100, is wallets.
func newWalletsBench(t *testing.T, change func(*mempool.Config)) *bench {
	b := newBench(t, 5, vfs.NewMem())
	change(&b.cfg.Mempool)
	b.restart(t)
	var gifts []*wire.Transaction
	for i := range wallets {
		gifts = append(gifts, b.sign(100, wire.TxBody{Nonce: uint64(i), To: keyfile.Address(benchKey(byte(101 + i))), Amount: 10_000_000}))
	}
	b.forge(t, b.chain.Head(), 2, gifts...)
	b.at(20)
	return b
}

// fromPeer has a peer send a transaction.
func (b *bench) fromPeer(t *testing.T, tx *wire.Transaction) error {
	t.Helper()
	checked, err := b.chain.checker.Tx(t.Context(), b.clock, tx.Bytes())
	require.NoError(t, err)
	return b.chain.AddTx(t.Context(), checked, "peer")
}

// R134: what expires before a block can take it pushes out nothing that was accepted here.
func TestAcceptedIsNotEvictedByWhatNoBlockCanHold(t *testing.T) {
	b := newWalletsBench(t, func(c *mempool.Config) { c.MaxCount = wallets })
	var ours []*wire.Transaction
	for i := range wallets {
		ours = append(ours, b.sign(byte(101+i), wire.TxBody{Fee: 10_000}))
		require.Equal(t, api.Pending, b.submit(t, ours[i]))
	}
	for i := range wallets {
		dead := b.sign(100, wire.TxBody{Nonce: uint64(wallets + i), Fee: 100_000, ExpiresAt: b.Genesis().SlotStart(20+mempool.MinSlots) - 1})
		require.ErrorIs(t, b.fromPeer(t, dead), validation.Expired)
	}
	for _, tx := range ours {
		require.Equal(t, api.Pending, b.state(t, tx))
	}
}

// R134: a user is refused what peers would refuse by the time it reached them. What was
// accepted stays good until its time is over, also for a node that restarts just before.
func TestWhatIsAcceptedLastsLongEnough(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	b.at(20)
	const least = (mempool.MinSlots + 1) * time.Second
	ends := uint64(b.clock.Add(least).UnixMilli())
	for _, submit := range []func(raw []byte) (api.TxStatus, error){
		func(raw []byte) (api.TxStatus, error) { return b.Submit(t.Context(), raw) },
		func(raw []byte) (api.TxStatus, error) { return b.SubmitPrivately(t.Context(), raw) },
	} {
		short := b.sign(100, wire.TxBody{ExpiresAt: ends - 1})
		_, err := submit(short.Bytes())
		require.ErrorIs(t, err, validation.Expired)
		require.ErrorContains(t, err, "it must be valid for")
		require.Equal(t, api.Unknown, b.state(t, short))
	}
	ours := b.sign(100, wire.TxBody{ExpiresAt: ends})
	require.Equal(t, api.Pending, b.submit(t, ours))
	b.clock = b.clock.Add(least)
	b.restart(t)
	require.Equal(t, api.Pending, b.state(t, ours))
	b.clock = b.clock.Add(time.Second)
	b.chain.expire()
	require.Equal(t, api.Expired, b.state(t, ours))
}

// R19: what was accepted behind transactions of peers waits for the snapshot that has those, also
// where it finds no waiting place in the pool until then.
func TestARestartEndsNothingBeforeTheSnapshotIsRead(t *testing.T) {
	b := newWalletsBench(t, func(c *mempool.Config) { c.MaxWaiting = 2 })
	var ours []*wire.Transaction
	for i := range wallets {
		require.NoError(t, b.fromPeer(t, b.sign(byte(101+i), wire.TxBody{})))
		ours = append(ours, b.sign(byte(101+i), wire.TxBody{Nonce: 1}))
		require.Equal(t, api.Pending, b.submit(t, ours[i]))
	}
	b.saveSnapshot(time.Minute)
	b.restart(t)
	for _, tx := range ours {
		require.Equal(t, api.Accepted, b.state(t, tx))
	}
	require.Len(t, b.chain.locals.early, wallets-2)
	b.loadSnapshot(t.Context())
	b.chain.retryEarly()
	for _, tx := range ours {
		require.Equal(t, api.Pending, b.state(t, tx))
	}
	require.Empty(t, b.chain.locals.early)
}
