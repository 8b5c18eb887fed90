package node

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
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

// While the overlay takes nothing more, what waits to be announced is what has not ended, and
// when it takes something again, nothing else is published, in the order in which it was added.
func TestOnlyTheLiveWaitToBeAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newAnnouncementBench(t, 3*announceBurst)
		var (
			mu        sync.Mutex
			full      = true
			published []wire.TxID
		)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go b.run(ctx, func(_ context.Context, txs []validation.CheckedTx) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			if full {
				return 0, errors.New("the outbox is full")
			}
			for _, tx := range txs {
				published = append(published, tx.ID())
			}
			return len(txs), nil
		})
		b.add(b.txs...)
		time.Sleep(announceRetry / 2)
		require.Equal(t, len(b.txs), b.len())
		var live []wire.TxID
		for i, tx := range b.txs {
			if i%10 == 0 {
				live = append(live, tx.ID())
				continue
			}
			b.end(tx)
		}
		time.Sleep(announceRetry)
		require.Equal(t, len(live), b.len(), "the others have ended")
		mu.Lock()
		full = false
		mu.Unlock()
		time.Sleep(announceRetry)
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, live, published)
		require.Zero(t, b.len())
	})
}

// However many are added, no more wait than the bound says, and the first stay first.
func TestWhatWaitsToBeAnnouncedIsBounded(t *testing.T) {
	b := newAnnouncementBench(t, 100)
	for range maxQueued/len(b.txs) + 2 {
		b.add(b.txs...)
	}
	require.Equal(t, maxQueued, b.len())
	first := b.next()
	b.add(b.txs...)
	b.giveBack(first)
	require.Equal(t, maxQueued, b.len())
	require.Equal(t, b.txs[0].ID(), b.next()[0])
}

// R120: what a node accepted from its users and has expired is not announced when the overlay
// takes more again, and neither is what is private.
func TestExpiredLocalTransactionsAreNotAnnounced(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	b.at(20)
	soon := func(nonce uint64) *wire.Transaction {
		return wire.SignTx(b.Genesis().ID(), benchKey(100), &wire.TxBody{
			Version: wire.TxVersion, Sender: keyfile.Address(benchKey(100)), Nonce: nonce, Fee: 1_000, To: wire.Address{7}, Amount: 1,
			ExpiresAt: uint64(b.clock.UnixMilli()) + 5_000,
		})
	}
	open, secret := soon(0), soon(1)
	b.submit(t, open)
	_, err := b.SubmitPrivately(t.Context(), secret.Bytes())
	require.NoError(t, err)
	announced := func(a *announcer, tx *wire.Transaction) bool {
		_, live := a.get(tx.ID())
		return live
	}
	require.True(t, announced(b.announcer, open))
	require.True(t, announced(b.private.announcer, secret))
	require.False(t, announced(b.announcer, secret))
	b.clock = b.clock.Add(6 * time.Second)
	require.False(t, announced(b.announcer, open))
	require.False(t, announced(b.private.announcer, secret))
	b.chain.expire()
	require.False(t, announced(b.announcer, open))
}

// announcementBench is an announcer, and what it is given to announce.
type announcementBench struct {
	*announcer
	txs []validation.CheckedTx
	end func(tx validation.CheckedTx)
}

func newAnnouncementBench(t *testing.T, count int) *announcementBench {
	t.Helper()
	key := benchKey(100)
	g := &wire.Genesis{
		Network: "announced", AddressPrefix: "gvt", Time: 1, SlotMillis: 1000,
		Producers: []wire.ProducerSet{{Producers: []wire.Address{keyfile.Address(key)}}},
		Rules:     []wire.RuleChange{{Version: 1}}, Limits: wire.DefaultLimits(),
	}
	l, err := ledger.New(g, nil)
	require.NoError(t, err)
	checker, err := validation.NewChecker(g, l)
	require.NoError(t, err)
	var mu sync.Mutex
	live := make(map[wire.TxID]validation.CheckedTx)
	b := &announcementBench{end: func(tx validation.CheckedTx) {
		mu.Lock()
		defer mu.Unlock()
		delete(live, tx.ID())
	}}
	for n := range uint64(count) {
		tx, err := checker.StoredTx(wire.SignTx(g.ID(), key, &wire.TxBody{
			Version: wire.TxVersion, Sender: keyfile.Address(key), Nonce: n, Fee: 1 << 20,
		}))
		require.NoError(t, err)
		b.txs = append(b.txs, tx)
		live[tx.ID()] = tx
	}
	b.announcer = newAnnouncer(slog.New(slog.DiscardHandler), func(id wire.TxID) (validation.CheckedTx, bool) {
		mu.Lock()
		defer mu.Unlock()
		tx, ok := live[id]
		return tx, ok
	})
	return b
}
