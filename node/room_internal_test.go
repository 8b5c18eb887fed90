package node

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
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

// R147: what takes long with the pool lets others have it in between.
func TestOthersHaveThePoolWhileManyComeBackOrExpire(t *testing.T) {
	const many = 20
	b := newBench(t, 1, vfs.NewMem())
	b.cfg.Mempool.MaxSweep = 1
	b.restart(t)
	fork := b.chain.Head()
	b.at(20)
	ends := uint64(b.clock.UnixMilli()) + 60_000
	var lost []*wire.Transaction
	for nonce := range uint64(many) {
		lost = append(lost, b.sign(100, wire.TxBody{Nonce: nonce, ExpiresAt: ends}))
		require.Equal(t, api.Pending, b.submit(t, lost[nonce]))
	}
	_, stop := b.chain.WatchTxs(func([]wire.TxID, []wire.TxID) { time.Sleep(2 * time.Millisecond) })
	defer stop()

	between := func(do func()) (seen int) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			do()
		}()
		lens := make(map[int]bool)
		for {
			b.chain.mu.Lock()
			lens[b.chain.pool.Len()] = true
			b.chain.mu.Unlock()
			select {
			case <-done:
				delete(lens, 0)
				delete(lens, many)
				return len(lens)
			default:
			}
		}
	}
	b.forge(t, fork, 21, lost...)
	require.NotZero(t, between(func() { b.forge(t, b.forge(t, fork, 22), 23) }))
	require.Equal(t, many, b.chain.pool.Len())
	b.clock = b.clock.Add(2 * time.Minute)
	require.NotZero(t, between(b.chain.expire))
}

// R147: what a reorganisation reads is read before anybody has to wait for it.
func TestAReorganisationReadsAhead(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	genesis := b.chain.Head()
	first := b.forge(t, genesis, 2)
	second := b.forge(t, first, 3)
	side := b.forge(t, genesis, 4)
	side2, err := b.tryForge(side, 5)
	require.NoError(t, err)
	require.Equal(t, second.ID, b.chain.Head().ID, "the side is later")
	for parent, want := range map[wire.BlockID][]wire.BlockID{
		side2.ID:  {first.ID, second.ID, side.ID, side2.ID},
		side.ID:   {first.ID, second.ID, side.ID}, // as high as the head: the lower slot decides
		second.ID: nil,
		first.ID:  {second.ID},
	} {
		require.NoError(t, b.chain.readAhead(parent))
		require.Len(t, b.chain.ahead, len(want))
		for _, id := range want {
			require.Contains(t, b.chain.ahead, id)
		}
	}
	b.chain.ahead = nil
	top := b.forge(t, side2, 6)
	require.Equal(t, top.ID, b.chain.Head().ID)
	require.Nil(t, b.chain.ahead)
}

// A stop does not wait until a slow disk has taken all of a full pool: what is best is written first,
// and what is written can be read.
func TestASnapshotEndsInTime(t *testing.T) {
	b := newWalletsBench(t, func(*mempool.Config) {})
	for i := range wallets {
		require.NoError(t, b.fromPeer(t, b.sign(byte(101+i), wire.TxBody{Fee: uint64(1_000 * (i + 1))})))
	}
	for within, least := range map[time.Duration]int{0: 0, time.Minute: wallets} {
		begun := time.Now()
		b.saveSnapshot(within)
		require.Less(t, time.Since(begun), within+time.Second)
		raws, err := b.store.ReadSnapshot()
		require.NoError(t, err)
		require.Len(t, raws, least)
	}
}
