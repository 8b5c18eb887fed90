package node

import (
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/wire"
)

// crowd is how many transactions of others the lost block of these tests gives back, one at a time.
const crowd = 20

// funded is what a block has that gives money to wallet and to each of a crowd.
func (b *bench) funded(t *testing.T, wallet byte) []*wire.Transaction {
	t.Helper()
	txs := []*wire.Transaction{b.sign(100, wire.TxBody{To: keyfile.Address(benchKey(wallet)), Amount: 100_000_000})}
	for i := range byte(crowd) {
		txs = append(txs, b.sign(100, wire.TxBody{Nonce: uint64(i) + 1, To: keyfile.Address(benchKey(110 + i)), Amount: 1_000_000}))
	}
	return txs
}

// ofCrowd is one transaction of each.
func (b *bench) ofCrowd() (txs []*wire.Transaction) {
	for i := range byte(crowd) {
		txs = append(txs, b.sign(110+i, wire.TxBody{}))
	}
	return txs
}

// whenBack calls do beside the chain as soon as the pool has changed that often. The end that it
// returns waits for it.
func (b *bench) whenBack(changes int, do func()) (end func()) {
	due, seen := make(chan struct{}), 0
	_, stop := b.chain.WatchTxs(func([]wire.TxID, []wire.TxID) { // called with the chain's lock
		if seen++; seen == changes {
			close(due)
		}
		time.Sleep(3 * time.Millisecond) // who else wants the lock gets it soon
	})
	var beside sync.WaitGroup
	beside.Go(func() {
		<-due
		do()
	})
	return func() {
		beside.Wait()
		stop()
	}
}

// R104: what waits beside the pool goes on waiting while a lost block is given back, whatever the
// pool says until then.
func TestWhatWaitsOutlastsAGiveBack(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	b.cfg.Mempool.MaxPerSender, b.cfg.Mempool.MaxCount, b.cfg.Mempool.MaxSweep = 2, crowd/2, 1
	b.restart(t)
	at := b.forge(t, b.chain.Head(), 2, b.funded(t, 101)...)
	ours := make([]*wire.Transaction, 3)
	for _, nonce := range []uint64{0, 2, 1} {
		ours[nonce] = b.sign(101, wire.TxBody{Nonce: nonce, Fee: 1_000_000})
		b.submit(t, ours[nonce])
	}
	require.Equal(t, api.Accepted, b.state(t, ours[2]), "beside the pool")
	b.forge(t, at, 3, b.ofCrowd()...)
	side := b.forge(t, at, 4, ours[0], ours[1])
	end := b.whenBack(crowd-2, b.chain.retryEarly)
	b.forge(t, side, 5)
	end()
	b.chain.retryEarly()
	require.Equal(t, api.Pending, b.state(t, ours[2]), "it pays a thousand times what the others pay")
}

// R119: who asks for a nonce while a lost block is given back gets none that this had.
func TestANonceThatIsComingBackIsTaken(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	b.cfg.Mempool.MaxSweep = 1
	b.restart(t)
	at := b.forge(t, b.chain.Head(), 2, b.funded(t, 101)...)
	first := b.sign(101, wire.TxBody{Fee: 1_000_000})
	require.Equal(t, api.Pending, b.submit(t, first))
	b.forge(t, at, 3, append(b.ofCrowd(), first)...)
	require.Equal(t, api.Included, b.state(t, first))
	side := b.forge(t, at, 4)
	var next uint64
	var second *wire.Transaction
	end := b.whenBack(5, func() {
		account, err := b.Backend().Account(t.Context(), keyfile.Address(benchKey(101)))
		require.NoError(t, err)
		next = uint64(account.NextNonce)
		second = b.sign(101, wire.TxBody{Nonce: next})
		b.submit(t, second)
	})
	b.forge(t, side, 5)
	end()
	require.Equal(t, api.Pending, b.state(t, first))
	require.Equal(t, api.Pending, b.state(t, second))
	require.EqualValues(t, 1, next)
}
