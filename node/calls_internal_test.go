package node

import (
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// begun is a Submit up to its sync.
func (b *bench) begun(t *testing.T, tx *wire.Transaction) validation.CheckedTx {
	t.Helper()
	checked, err := b.chain.checker.Tx(t.Context(), b.clock, tx.Bytes())
	require.NoError(t, err)
	require.NoError(t, b.chain.addLocal(checked))
	return checked
}

// Of two calls for the same bytes the disk may refuse one. What the other has on disk is
// accepted, and followed as what is.
//
// R19: what was accepted is not lost.
func TestARefusedCallTakesNothingFromAnother(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	tx := b.begun(t, b.payment(0, 1_000))
	b.begun(t, b.payment(0, 1_000))
	require.NoError(t, b.store.PutLocalTx(tx.Tx(), b.clock))
	b.chain.locals.disown(tx.ID()) // as the second does where the disk fails between the two
	require.NoError(t, b.keep(tx))
	require.True(t, b.chain.locals.keeps(tx.ID()))
	require.Len(t, b.announcer.take(), 1)

	never := b.begun(t, b.payment(1, 1_000))
	b.begun(t, b.payment(1, 1_000))
	for range 2 {
		b.chain.locals.disown(never.ID())
	}
	require.Len(t, b.chain.locals.txs, 1)
}

// A private call for the bytes of a public one that is under way does not make them a secret.
func TestWhatIsSubmittedBothWaysAtOnceIsPublic(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	ours := b.payment(0, 1_000)
	tx, err := b.chain.checker.Tx(t.Context(), b.clock, ours.Bytes())
	require.NoError(t, err)
	require.NoError(t, b.chain.adopt(tx))
	_, err = b.SubmitPrivately(t.Context(), ours.Bytes())
	require.NoError(t, err)
	require.NoError(t, b.chain.poolAdopted(tx))
	require.NoError(t, b.keep(tx))
	require.Equal(t, api.Pending, b.state(t, ours))
	require.Len(t, b.chain.untold(time.Hour, 10), 1)
}

// What replaces is not durable yet, and so what it replaced has not ended: when a block takes
// that all the same, it never does.
//
// R19: what was accepted is not lost.
func TestAnEndThatABlockOvertakesIsNone(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	ours := b.payment(0, 1_000)
	require.Equal(t, api.Pending, b.submit(t, ours))
	dearer := b.begun(t, b.payment(0, 2_000))
	require.Equal(t, api.Replaced, b.state(t, ours))
	b.forge(t, b.chain.Head(), 2, ours)
	require.NoError(t, b.keep(dearer))
	require.NoError(t, b.chain.locals.flush())
	record, ok, err := b.store.LocalTx(ours.ID())
	require.NoError(t, err)
	require.True(t, ok)
	require.Empty(t, record.End)
	require.Equal(t, api.Included, b.state(t, ours))
}

// Of two calls under way the one may replace what the other submits. That has not ended before
// the one is on disk, whichever is done first.
//
// R19: what was accepted is not lost.
func TestACallEndsNothingThatAnotherReplaces(t *testing.T) {
	disk := crashdisk.New()
	b := newBench(t, 1, disk)
	ours, dearer := b.begun(t, b.payment(0, 1_000)), b.begun(t, b.payment(0, 2_000))
	require.NoError(t, b.keep(ours))
	require.NoError(t, b.chain.locals.flush())
	b.crashed(t, disk)
	require.Equal(t, api.Pending, b.state(t, ours.Tx()))
	require.Equal(t, api.Unknown, b.state(t, dearer.Tx()))
}

// Nor has what was pushed out before it was on disk, and came back from a peer meanwhile.
func TestWhatAPeerBringsBackDuringACallHasNotEnded(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	b.cfg.Mempool.MaxCount = 1
	b.restart(t)
	b.forge(t, b.chain.Head(), 2, b.sign(100, wire.TxBody{To: keyfile.Address(benchKey(101)), Amount: 1_000_000}))
	ours := b.begun(t, b.payment(1, 5_000))
	richer := b.sign(101, wire.TxBody{Fee: 9_000, ExpiresAt: b.Genesis().SlotStart(25)})
	checked, err := b.chain.checker.StoredTx(richer)
	require.NoError(t, err)
	require.NoError(t, b.chain.AddTx(t.Context(), checked, "peer"))
	require.Equal(t, api.Evicted, b.state(t, ours.Tx()))
	b.at(26)
	b.chain.expire()
	b.clock = b.clock.Add(10 * b.cfg.Mempool.FloorHalfLife)
	require.NoError(t, b.chain.AddTx(t.Context(), ours, "peer"))
	require.NoError(t, b.keep(ours))
	require.Equal(t, api.Pending, b.state(t, ours.Tx()))
	b.restart(t)
	require.Equal(t, api.Pending, b.state(t, ours.Tx()))
}

// Of two calls for the same bytes the pool may refuse the second, after it pushed out what the first
// gave it. That is how it ended, also where the first comes to its end only then: it is not called
// accepted while it is nowhere.
//
// R19, R143: what was pushed out while a call for it is under way has ended, whatever becomes of others.
func TestARefusedCallRevivesNothing(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	b.cfg.Mempool.MaxCount = 1
	b.restart(t)
	b.forge(t, b.chain.Head(), 2, b.sign(100, wire.TxBody{To: keyfile.Address(benchKey(101)), Amount: 1_000_000}))
	ours := b.begun(t, b.payment(1, 5_000))
	richer, err := b.chain.checker.StoredTx(b.sign(101, wire.TxBody{Fee: 9_000}))
	require.NoError(t, err)
	require.NoError(t, b.chain.AddTx(t.Context(), richer, "peer"))
	require.Equal(t, api.Evicted, b.state(t, ours.Tx()))
	_, err = b.Submit(t.Context(), ours.Tx().Bytes())
	require.ErrorIs(t, err, validation.PoolFull)
	require.NoError(t, b.keep(ours))
	require.Equal(t, api.Evicted, b.state(t, ours.Tx()))
	require.NoError(t, b.chain.locals.flush())
	b.restart(t)
	require.Equal(t, api.Evicted, b.state(t, ours.Tx()))
}

// A disk that fails may show what it did not keep. Its user was told that it failed.
func TestWhatTheDiskRefusedIsNotCalledAccepted(t *testing.T) {
	faults := crashdisk.WithFaults(crashdisk.New())
	b := newBench(t, 1, faults)
	defer faults.Heal()
	secret := b.payment(0, 1_000)
	faults.Fail(syscall.ENOSPC)
	_, err := b.SubmitPrivately(t.Context(), secret.Bytes())
	require.ErrorIs(t, err, api.ErrStorage)
	s, err := b.txStatus(secret.ID())
	require.NoError(t, err)
	require.Equal(t, api.Unknown, s.State)
	require.False(t, s.Local)
}

// A call may come to its write so late that another for the same bytes was accepted, and has ended,
// on disk as well. That end stays.
func TestALateCallBeginsNoNewLife(t *testing.T) {
	b := newBench(t, 3, vfs.NewMem())
	ours := b.payment(0, 1_000)
	late := b.begun(t, ours)
	require.Equal(t, api.Pending, b.submit(t, ours))
	b.extend(t, b.forge(t, b.chain.Head(), 2, ours), 3)
	require.NoError(t, b.chain.locals.flush())
	require.NoError(t, b.keep(late))
	record, ok, err := b.store.LocalTx(ours.ID())
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, endFinal, record.End)
	require.Equal(t, api.Final, b.state(t, ours))
}
