package node

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
)

// However often wallets ask what to pay, it is worked out once a second, and anew for each head.
func TestFeesAreWorkedOutOnceASecond(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	b.at(20)
	asked := func() api.Fees {
		f, err := b.Backend().Fees(t.Context())
		require.NoError(t, err)
		return f
	}
	empty := asked()
	require.Equal(t, empty.Floor, empty.High)
	one := b.payment(0, 100_000)
	b.submit(t, one)
	require.Equal(t, empty, asked())
	b.clock = b.clock.Add(feesFor)
	high := asked()
	require.Greater(t, high.High, empty.High)
	require.Equal(t, empty.Floor, high.Floor)

	at := b.forge(t, b.chain.Head(), 2, one)
	b.clock = b.clock.Add(feesFor)
	require.Equal(t, empty, asked())
	b.at(20)
	before := asked()
	b.submit(t, b.payment(1, 100_000))
	require.Equal(t, before, asked())
	b.forge(t, at, 3)
	more := asked()
	require.Greater(t, more.High, before.High, "another head, at the same time")
	b.submit(t, b.payment(1, 1_000_000))
	b.clock = b.clock.Add(-time.Hour)
	require.Greater(t, asked().High, more.High, "clocks are set back")
}

// Who only looks shuts out nobody who looks: transactions are judged and blocks rebuilt meanwhile.
func TestLookersShareTheChain(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	tx := b.payment(0, 1_000)
	b.submit(t, tx)
	asked := b.Backend()
	for name, look := range map[string]func() error{
		"fees":      func() error { _, err := asked.Fees(t.Context()); return err },
		"mempool":   func() error { _, err := asked.Mempool(t.Context()); return err },
		"account":   func() error { _, err := asked.Account(t.Context(), keyfile.Address(benchKey(100))); return err },
		"status":    func() error { _, err := asked.TxStatus(t.Context(), tx.ID()); return err },
		"announcer": func() error { b.chain.untold(0, 10); return nil },
		"snapshot":  func() error { b.saveSnapshot(time.Minute); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			done := make(chan error, 1)
			b.chain.mu.RLock()
			defer b.chain.mu.RUnlock()
			go func() { done <- look() }()
			select {
			case err := <-done:
				require.NoError(t, err)
			case <-time.After(time.Minute):
				t.Error("waits for the lock")
			}
		})
	}
}
