package node

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/wire"
)

// What replaces an accepted transaction is not accepted before it is on disk. A crash between the
// two must not leave the end of the one without the other.
//
// R19: what was accepted is not lost.
func TestAReplacementThatIsNotDurableEndsNothing(t *testing.T) {
	disk := crashdisk.New()
	b := newBench(t, 1, disk)
	ours, dearer := b.payment(0, 1_000), b.payment(0, 2_000)
	require.Equal(t, api.Pending, b.submit(t, ours))
	tx, err := b.chain.checker.Tx(t.Context(), b.clock, dearer.Bytes())
	require.NoError(t, err)
	require.NoError(t, b.chain.addLocal(tx))   // Submit, up to its sync,
	require.NoError(t, b.chain.locals.flush()) // while ends are written
	b.crashed(t, disk)                         // and the power goes
	require.Equal(t, api.Unknown, b.state(t, dearer), "nobody was told that it is accepted")
	require.Equal(t, api.Pending, b.state(t, ours))
}

// The same with a disk that is full when the replacement comes, and killed when it is back.
func TestAReplacementThatTheDiskRefusedEndsNothing(t *testing.T) {
	disk := crashdisk.New()
	faults := crashdisk.WithFaults(disk)
	b := newBench(t, 1, faults)
	ours, dearer := b.payment(0, 1_000), b.payment(0, 2_000)
	require.Equal(t, api.Pending, b.submit(t, ours))
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- b.store.Run(ctx, store.Watch{}) }()
	faults.Fail(syscall.ENOSPC)
	_, err := b.Submit(t.Context(), dearer.Bytes())
	require.ErrorIs(t, err, api.ErrStorage)
	faults.Heal()
	require.Eventually(t, func() bool { return b.chain.locals.flush() == nil }, 10*time.Second, 10*time.Millisecond)
	b.cfg.FS = disk.Crash(vfs.CrashCloneCfg{})
	cancel()
	require.NoError(t, <-ran)
	_ = b.Node.Close()
	b.Node, err = New(b.cfg)
	require.NoError(t, err)
	state, other := b.state(t, ours), b.state(t, dearer)
	require.True(t, state == api.Pending || other == api.Pending, "%s, and what replaced it %s", state, other)
}

// A kill between what replaces and the end of what is replaced leaves both on disk.
func TestReplacedIsReplacedAfterAKill(t *testing.T) {
	disk := crashdisk.New()
	b := newBench(t, 1, disk)
	var ours, dearer []*wire.Transaction
	for nonce := range uint64(8) {
		ours = append(ours, b.payment(nonce, 1_000))
		b.submit(t, ours[nonce])
	}
	b.clock = b.clock.Add(-time.Hour) // clocks are set back
	for nonce := range uint64(8) {
		dearer = append(dearer, b.payment(nonce, 2_000))
		b.submit(t, dearer[nonce])
	}
	b.crashed(t, disk)
	for i := range ours {
		require.Equal(t, api.Pending, b.state(t, dearer[i]))
		require.Equal(t, api.Replaced, b.state(t, ours[i]), "nonce %d", i)
	}
}
