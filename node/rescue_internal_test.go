package node

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// flip damages the last file of the store whose name begins or ends so.
func flip(t *testing.T, files *vfs.MemFS, dir, part string) {
	t.Helper()
	names, err := files.List(dir)
	require.NoError(t, err)
	found := ""
	for _, name := range names {
		if strings.HasPrefix(name, part) || strings.HasSuffix(name, part) {
			found = files.PathJoin(dir, name)
		}
	}
	require.NotEmpty(t, found, names)
	f, err := files.OpenReadWrite(found, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	info, err := f.Stat()
	require.NoError(t, err)
	at := info.Size() / 2
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	require.NoError(t, err)
	b[0] ^= 4
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// A node whose store is damaged starts. What was accepted waits for the chain to come back, is not
// taken for invalid by accounts that are not there yet, and goes on then; no slot is signed twice.
//
// R148: a node starts whatever its disk did to its store, and forgets nothing silently.
func TestANodeStartsWithADamagedStore(t *testing.T) {
	for _, part := range []string{"MANIFEST-", ".sst"} {
		t.Run(part, func(t *testing.T) {
			files := vfs.NewMem()
			b := newBench(t, 1, files)
			p := b.maker(t)
			b.at(2)
			first, second := b.sign(100, wire.TxBody{}), b.sign(100, wire.TxBody{Nonce: 1})
			require.Equal(t, api.Pending, b.submit(t, first))
			b.turnOf(t, p)
			made, err := b.chain.body(b.chain.Head().ID)
			require.NoError(t, err)
			require.Equal(t, api.Pending, b.submit(t, second))
			if part == ".sst" {
				b.restart(t) // what is in the log comes into a table
			}
			require.NoError(t, b.chain.locals.flush())
			require.NoError(t, b.Node.Close())
			flip(t, files, dataDir(b.cfg.Home), part)

			n, err := New(b.cfg)
			require.NoError(t, err)
			b.Node = n
			t.Cleanup(func() { _ = n.Close() })
			require.Zero(t, b.chain.Head().Height)
			status, err := b.Backend().Status(t.Context())
			require.NoError(t, err)
			require.Len(t, status.SetAside, 1)
			rescue, was := b.store.Rescued()
			require.True(t, was)
			if part == ".sst" { // the one block that all records are in
				require.NotEmpty(t, rescue.Unread)
				require.Equal(t, api.Unknown, b.state(t, second))
				require.NoError(t, b.chain.locals.adopt(b.check(t, second)))
				require.NoError(t, b.keep(b.check(t, second)), "its user may send it again")
				b.chain.locals.keepEarly(b.check(t, second))
			}
			for range 2 {
				b.chain.retryEarly()
				require.Equal(t, api.Accepted, b.state(t, second))
				b.restart(t)
			}
			p = b.maker(t)
			for slot := range b.slotNow() + 1 {
				b.at(slot).turnOf(t, p)
			}
			require.Zero(t, b.chain.Head().Height, "it may have signed these")

			checked, err := b.chain.checker.Stored(made)
			require.NoError(t, err)
			require.NoError(t, b.chain.addBlock(checked, false))
			b.chain.retryEarly()
			require.Equal(t, api.Accepted, b.state(t, second), "more blocks may come")
			b.at(100).turnOf(t, p)
			b.chain.retryEarly()
			require.Equal(t, api.Pending, b.state(t, second))
			require.NotEqual(t, api.Invalid, b.state(t, first))
			b.at(101).turnOf(t, p)
			require.Equal(t, api.Included, b.state(t, second))
		})
	}
}

// A producer whose store was damaged, and who is alone, begins no other chain, on which nobody has
// what was accepted. It says so, and goes on once a peer has brought the chain, also where the last block
// was its own and is lost.
//
// R133: a producer that had a chain makes no block before it has it from peers again.
func TestARescuedProducerWaitsForItsChain(t *testing.T) {
	files := vfs.NewMem()
	b := newBench(t, 1, files)
	fund, ours := b.newcomer(t) // genesis gives its sender nothing
	paid, err := b.chain.body(b.chain.Head().ID)
	require.NoError(t, err)
	require.Equal(t, fund.ID(), paid.Txs[0].ID())
	b.extend(t, b.chain.Head(), 1)
	require.NoError(t, b.Node.Close())
	flip(t, files, dataDir(b.cfg.Home), "MANIFEST-")

	b.Node, err = New(b.cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Node.Close() })
	p := b.maker(t)
	now := b.slotNow()
	for slot := now; slot < now+100; slot++ {
		b.at(slot).turnOf(t, p)
		b.chain.retryEarly()
		require.Equal(t, api.Accepted, b.state(t, ours))
	}
	require.Zero(t, b.chain.Head().Height, "a chain of its own")
	require.Greater(t, missedSlots(t, b, "rescued"), 90.)
	status, err := b.Backend().Status(t.Context())
	require.NoError(t, err)
	require.False(t, status.Ready)
	require.Contains(t, strings.Join(status.Waiting, "; "), "has not come back from peers")

	checked, err := b.chain.checker.Stored(paid)
	require.NoError(t, err)
	require.NoError(t, b.chain.addBlock(checked, false))
	b.at(now+100).turnOf(t, p)
	require.EqualValues(t, 2, b.chain.Head().Height)
	b.chain.retryEarly()
	require.Equal(t, api.Pending, b.state(t, ours))
	b.at(now+101).turnOf(t, p)
	require.Equal(t, api.Included, b.state(t, ours))
	status, err = b.Backend().Status(t.Context())
	require.NoError(t, err)
	require.NotContains(t, strings.Join(status.Waiting, "; "), "damaged")
}

// missedSlots is what the node says of its own slots without a block.
func missedSlots(t *testing.T, b *bench, reason string) float64 {
	t.Helper()
	families, err := b.events.metrics.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "grapevine_slots_missed_total" && m.GetLabel()[0].GetValue() == reason {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func (b *bench) check(t *testing.T, tx *wire.Transaction) validation.CheckedTx {
	t.Helper()
	checked, err := b.chain.checker.StoredTx(tx)
	require.NoError(t, err)
	return checked
}

// slotNow is the slot of the clock.
func (b *bench) slotNow() uint64 {
	slot, _ := b.Genesis().SlotAt(uint64(b.clock.UnixMilli()))
	return slot
}
