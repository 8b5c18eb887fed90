package node

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// What waits for a failed disk is bounded by number and by bytes.
func TestHeldIsBounded(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	ref := b.forge(t, b.chain.Head(), 1, b.payment(0, 1_000))
	block, err := b.store.Block(ref.ID)
	require.NoError(t, err)
	checked, err := b.chain.checker.Stored(block)
	require.NoError(t, err)
	news := headNews{added: checked, change: &ledger.Change{}}

	var h held
	for range maxHeld {
		require.True(t, h.add(news))
	}
	require.Equal(t, maxHeld*block.Size(), h.bytes)
	require.False(t, h.add(news))
	h.written()
	require.True(t, h.add(news), "room again")

	h = held{}
	require.True(t, h.add(news))
	h.bytes = maxHeldBytes - block.Size()
	require.True(t, h.add(news))
	require.False(t, h.add(news))
}

// mended has the disk take writes again, and what is held still waiting.
func (b *bench) mended(t *testing.T, faults *crashdisk.Faults) {
	t.Helper()
	faults.Heal()
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- b.store.Run(ctx, store.Watch{}) }()
	require.Eventually(t, func() bool { return b.store.Err() == nil }, 10*time.Second, time.Millisecond)
	cancel()
	require.NoError(t, <-ran)
	require.NotEmpty(t, b.chain.held.queue)
}

// onFailingDisk is a bench whose chain has four blocks, at being the last, and whose disk fails
// when told to and may crash.
func onFailingDisk(t *testing.T) (b *bench, disk *crashdisk.Disk, faults *crashdisk.Faults, at ledger.Ref) {
	t.Helper()
	disk = crashdisk.New()
	faults = crashdisk.WithFaults(disk)
	b = newBench(t, 5, faults)
	t.Cleanup(faults.Heal)
	return b, disk, faults, b.extend(t, b.chain.Head(), 4)
}

// R125: a user whose money is in a block that is held is not told that its transaction is safe.
func TestNothingIsAcceptedOnBlocksThatAreHeld(t *testing.T) {
	b, disk, faults, at := onFailingDisk(t)
	faults.Fail(syscall.ENOSPC)
	b.forge(t, at, 5, b.sign(100, wire.TxBody{To: keyfile.Address(benchKey(101)), Amount: 1_000_000}))
	b.mended(t, faults)
	ours := b.sign(101, wire.TxBody{To: wire.Address{7}, Amount: 1})
	_, err := b.Submit(t.Context(), ours.Bytes())
	require.ErrorIs(t, err, api.ErrStorage)
	_, err = b.SubmitPrivately(t.Context(), ours.Bytes())
	require.ErrorIs(t, err, api.ErrStorage)
	require.Contains(t, fmt.Sprint(b.waiting(api.Status{})), "wait for the disk", "nor is the node ready")
	written, err := b.chain.release()
	require.NoError(t, err)
	require.Equal(t, 1, written)
	require.Equal(t, api.Pending, b.submit(t, ours))
	b.crashed(t, disk)
	require.Equal(t, api.Pending, b.state(t, ours))
}

// R125: nor is it written down that a transaction is final before its block is.
func TestNoEndIsWrittenBeforeItsBlock(t *testing.T) {
	b, disk, faults, at := onFailingDisk(t)
	ours := b.sign(100, wire.TxBody{To: wire.Address{7}, Amount: 1})
	require.Equal(t, api.Pending, b.submit(t, ours))
	faults.Fail(syscall.ENOSPC)
	b.extend(t, b.forge(t, at, 5, ours), 5)
	require.Equal(t, api.Final, b.state(t, ours))
	b.mended(t, faults)
	require.ErrorIs(t, b.chain.locals.flush(), store.Failed)
	b.crashed(t, disk)
	require.Equal(t, at, b.chain.Head(), "what was held is gone")
	require.Equal(t, api.Pending, b.state(t, ours))
}
