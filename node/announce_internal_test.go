package node

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// A transaction whose only hearer died is told to others when all have forgotten it, and
// soon after.
func TestLocalTransactionsAreAnnouncedAgain(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	patience := b.cfg.announceAgain()
	require.Greater(t, patience, b.cfg.Gossip.Forgotten())
	require.LessOrEqual(t, patience+announceEvery, 150*time.Second)

	var txs []*wire.Transaction
	for nonce := range uint64(3) {
		txs = append(txs, b.payment(nonce, 1_000))
		b.submit(t, txs[nonce])
	}
	require.Empty(t, b.chain.untold(patience, 10), "each was announced when it was accepted")
	ids := func(list []validation.CheckedTx) (ids []wire.TxID) {
		for _, tx := range list {
			ids = append(ids, tx.ID())
		}
		return ids
	}
	require.Equal(t, []wire.TxID{txs[0].ID(), txs[1].ID()}, ids(b.chain.untold(0, 2)), "in order, and no more than asked for")

	l := b.chain.locals
	now := time.Now()
	require.False(t, l.tell(txs[2].ID(), now, patience))
	require.True(t, l.tell(txs[2].ID(), now.Add(patience), patience))
	require.False(t, l.tell(txs[2].ID(), now.Add(patience), patience), "it counts as told")
	require.False(t, l.tell(wire.TxID{1}, now.Add(patience), patience), "no local one")

	b.restart(t)
	require.Empty(t, b.chain.untold(patience, 10), "a start announces them all")
	require.Len(t, b.announcer.take(), 3)
}

// What enough peers have is left to reconciliation: who has forgotten its publication would
// pass the next one on to the whole network. What they do not have is published until they do.
//
// R19: a local transaction is announced again until it is echoed.
func TestEchoedTransactionsAreNotPublishedAgain(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	told := make(chan wire.TxID, 1)
	b.events.observe.Overlay.TxEchoed = func(id wire.TxID) { told <- id }
	var txs []*wire.Transaction
	for nonce := range uint64(3) {
		txs = append(txs, b.payment(nonce, 1_000))
		b.submit(t, txs[nonce])
	}
	b.events.hooks().TxEchoed(txs[1].ID())
	require.Equal(t, txs[1].ID(), <-told)
	for range 2 {
		var ids []wire.TxID
		for _, tx := range b.chain.untold(0, 10) {
			ids = append(ids, tx.ID())
		}
		require.Equal(t, []wire.TxID{txs[0].ID(), txs[2].ID()}, ids)
	}
	b.events.hooks().TxEchoed(wire.TxID{1}) // none of ours
	<-told
}

// R99: what a rollback gives back is not published at once, however long ago it was: reconciliation
// brings it to those who lack it.
func TestRollbackIsNoPublication(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	tx := b.payment(0, 1_000)
	b.submit(t, tx)
	told := func(at time.Time) {
		l := b.chain.locals
		l.mu.Lock()
		defer l.mu.Unlock()
		l.txs[tx.ID()].told = at
	}
	long := time.Now().Add(-time.Hour)
	told(long)
	genesis := b.chain.Head()
	b.forge(t, genesis, 2, tx)
	b.forge(t, b.forge(t, genesis, 3), 4)
	require.True(t, b.chain.HasTx(tx.ID()), "pooled again")
	require.Empty(t, b.chain.untold(time.Minute, 10))
	told(long)
	require.Len(t, b.chain.untold(time.Minute, 10), 1, "in the end it is")
}
