package node

import (
	"context"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// sign makes a transaction of the wallet with that key.
func (b *bench) sign(key byte, body wire.TxBody) *wire.Transaction {
	body.Version, body.Sender, body.Fee = wire.TxVersion, keyfile.Address(benchKey(key)), max(body.Fee, 1_000)
	return wire.SignTx(b.Genesis().ID(), benchKey(key), &body)
}

// extend puts so many empty blocks on a chain, in the slots after its last one.
func (b *bench) extend(t *testing.T, at ledger.Ref, blocks int) ledger.Ref {
	t.Helper()
	for range blocks {
		at = b.forge(t, at, at.Slot+1)
	}
	return at
}

// A rollback takes the money from a wallet that had submitted already, and the chain that won
// gives it back a block later.
//
// R19: what was accepted is not lost.
func TestALaterBlockRevivesWhatARollbackForbade(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	genesis := b.chain.Head()
	fund := b.sign(100, wire.TxBody{To: keyfile.Address(benchKey(101)), Amount: 1_000_000})
	var ours []*wire.Transaction
	state := func(want api.State) {
		t.Helper()
		for _, tx := range ours {
			require.Equal(t, want, b.state(t, tx))
		}
	}
	b.forge(t, genesis, 2, fund)
	for nonce := range uint64(3) {
		ours = append(ours, b.sign(101, wire.TxBody{Nonce: nonce, To: wire.Address{7}, Amount: 1}))
		require.Equal(t, api.Pending, b.submit(t, ours[nonce]))
	}
	side := b.extend(t, b.forge(t, genesis, 3), 1)
	state(api.Invalid)
	sub := b.Backend().Subscribe(nil)
	side = b.forge(t, side, side.Slot+1, fund)
	state(api.Pending)
	require.Equal(t, []api.Kind{api.BlockAdded, api.TxIncluded, api.TxPending, api.TxPending, api.TxPending}, kinds(t, sub))

	b.extend(t, side, 4)
	require.Greater(t, b.final(t).Height, uint64(2), "past where they were forbidden")
	state(api.Pending)
	b.restart(t)
	state(api.Pending)
}

// What is revived may be more than a sender may have in the pool: the last of it waits.
func TestRevivedTransactionsWaitForRoom(t *testing.T) {
	const most = 3
	b := newNarrowBench(t, most)
	genesis := b.chain.Head()
	fund := b.sign(100, wire.TxBody{To: keyfile.Address(benchKey(101)), Amount: 1_000_000})
	at := b.forge(t, genesis, 2, fund)
	var ours []*wire.Transaction
	submit := func() {
		for range most {
			ours = append(ours, b.sign(101, wire.TxBody{Nonce: uint64(len(ours)), To: wire.Address{7}, Amount: 1}))
			require.Equal(t, api.Pending, b.submit(t, ours[len(ours)-1]))
		}
	}
	submit()
	b.forge(t, at, 3, ours...)
	submit()
	side := b.extend(t, b.forge(t, genesis, 4), 2)
	for _, tx := range ours {
		require.Equal(t, api.Invalid, b.state(t, tx))
	}
	b.forge(t, side, side.Slot+1, fund)
	for i, tx := range ours {
		want := api.Pending
		if i >= most {
			want = api.Accepted
		}
		require.Equal(t, want, b.state(t, tx), "nonce %d", i)
	}
}

// What a block left too little for is valid again once the one before it costs less; a peer
// that has it brings it back. It has not ended then.
func TestWhatAPeerBringsAgainHasNotEnded(t *testing.T) {
	b := newBench(t, 3, vfs.NewMem())
	costs := func(nonce, amount, fee uint64) *wire.Transaction {
		return b.sign(100, wire.TxBody{Nonce: nonce, Amount: amount, Fee: fee, To: wire.Address{7}})
	}
	before, ours := costs(1, 300_000_000, 1_000), costs(2, 300_000_000, 1_000)
	for _, tx := range []*wire.Transaction{costs(0, 1, 1_000), before, ours} {
		require.Equal(t, api.Pending, b.submit(t, tx))
	}
	at := b.forge(t, b.chain.Head(), 1, costs(0, 500_000_000, 800))
	require.Equal(t, api.Invalid, b.state(t, ours))

	require.Equal(t, api.Pending, b.submit(t, costs(1, 1, 2_000)))
	checked, err := b.chain.checker.StoredTx(ours)
	require.NoError(t, err)
	require.NoError(t, b.chain.AddTx(t.Context(), checked, "peer"))
	require.Equal(t, api.Pending, b.state(t, ours))
	b.extend(t, at, 3)
	b.restart(t)
	require.Equal(t, api.Pending, b.state(t, ours))
}

// newcomer forges a block that pays to a new account, and submits what that account sends.
func (b *bench) newcomer(t *testing.T) (fund, ours *wire.Transaction) {
	t.Helper()
	fund = b.sign(100, wire.TxBody{To: keyfile.Address(benchKey(101)), Amount: 1_000_000})
	ours = b.sign(101, wire.TxBody{To: wire.Address{7}, Amount: 1})
	b.forge(t, b.chain.Head(), 1, fund)
	require.Equal(t, api.Pending, b.submit(t, ours))
	return fund, ours
}

// An end that is decided and waits for the disk is an end: what blocks do meanwhile changes
// nothing, or a restart would tell of an end where there was none before it.
func TestAnEndThatWaitsForTheDiskIsAnEnd(t *testing.T) {
	b := newBench(t, 3, vfs.NewMem())
	genesis := b.chain.Head()
	fund, ours := b.newcomer(t)
	side := b.extend(t, b.forge(t, genesis, 2), 1)
	at := b.extend(t, side, 2)
	require.Equal(t, b.final(t).Height, side.Height, "where it was forbidden")
	require.Len(t, b.chain.locals.ends, 1, "not written yet")

	b.forge(t, at, at.Slot+1, fund)
	require.Equal(t, api.Invalid, b.state(t, ours))
	b.extend(t, at, 2) // without the money
	checked, err := b.chain.checker.StoredTx(ours)
	require.NoError(t, err)
	require.ErrorIs(t, b.chain.AddTx(t.Context(), checked, ""), validation.Overdraft)
	b.restart(t)
	require.Equal(t, api.Invalid, b.state(t, ours))
	require.Empty(t, b.chain.locals.txs)
}

// Who submits the same bytes again, before the disk knows of the end, begins a new life.
func TestALifeBeginsAfterTheEndOfTheLast(t *testing.T) {
	b := newBench(t, 3, vfs.NewMem())
	genesis := b.chain.Head()
	fund, ours := b.newcomer(t)
	at := b.extend(t, b.forge(t, genesis, 2), 3)
	require.Len(t, b.chain.locals.ends, 1)
	b.forge(t, at, at.Slot+1, fund)
	require.Equal(t, api.Pending, b.submit(t, ours))
	require.Empty(t, b.chain.locals.ends)
	b.restart(t)
	require.Equal(t, api.Pending, b.state(t, ours))
}

// Who submits what a block holds already is told so, and may rely on it: the block may be
// rolled back, and the node restarted.
//
// R19: what was accepted is not lost.
func TestAnAnswerOfIncludedIsDurable(t *testing.T) {
	for _, how := range []struct {
		name   string
		submit func(*bench, *wire.Transaction) (api.TxStatus, error)
	}{
		{"publicly", func(b *bench, tx *wire.Transaction) (api.TxStatus, error) { return b.Submit(t.Context(), tx.Bytes()) }},
		{"privately", func(b *bench, tx *wire.Transaction) (api.TxStatus, error) {
			return b.SubmitPrivately(t.Context(), tx.Bytes())
		}},
	} {
		t.Run(how.name, func(t *testing.T) {
			b := newBench(t, 5, vfs.NewMem())
			genesis := b.chain.Head()
			ours := b.payment(0, 1_000)
			b.forge(t, genesis, 2, ours)
			for range 2 {
				s, err := how.submit(b, ours)
				require.NoError(t, err)
				require.Equal(t, api.Included, s.State)
				require.True(t, s.Local)
			}
			require.Empty(t, b.announcer.take(), "a block holds it")
			b.extend(t, b.forge(t, genesis, 3), 1)
			require.Equal(t, api.Pending, b.state(t, ours))
			require.Len(t, b.chain.untold(0, 10), 1)
			b.restart(t)
			require.Equal(t, api.Pending, b.state(t, ours))

			at := b.forge(t, b.chain.Head(), b.chain.Head().Slot+1, ours)
			b.extend(t, at, 4)
			require.Equal(t, api.Final, b.state(t, ours))
			b.restart(t)
			require.Empty(t, b.chain.locals.txs)
		})
	}
}

// One that ended here before a block took it all the same has a new life.
func TestAnAnswerOfIncludedOutlivesAnEarlierEnd(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	full := b.cfg.Mempool.MaxCount
	b.cfg.Mempool.MaxCount = 1
	b.restart(t)
	at := b.forge(t, b.chain.Head(), 2, b.sign(100, wire.TxBody{To: keyfile.Address(benchKey(101)), Amount: 1_000_000}))
	ours := b.payment(1, 1_000)
	require.Equal(t, api.Pending, b.submit(t, ours))
	require.Equal(t, api.Pending, b.submit(t, b.sign(101, wire.TxBody{Fee: 5_000})))
	require.Equal(t, api.Evicted, b.state(t, ours))
	b.cfg.Mempool.MaxCount = full
	b.restart(t)

	b.forge(t, at, 3, ours)
	require.Equal(t, api.Included, b.submit(t, ours))
	b.extend(t, b.forge(t, at, 4), 1)
	require.Equal(t, api.Pending, b.state(t, ours))
	b.restart(t)
	require.Equal(t, api.Pending, b.state(t, ours))
}

// A disk that does not take it down is no reason to promise it.
func TestIncludedIsNoAnswerWhereTheDiskFails(t *testing.T) {
	faults := crashdisk.WithFaults(crashdisk.New())
	b := newBench(t, 5, faults)
	defer faults.Heal()
	ours := b.payment(0, 1_000)
	b.forge(t, b.chain.Head(), 2, ours)
	faults.Fail(syscall.ENOSPC)
	_, err := b.Submit(t.Context(), ours.Bytes())
	require.ErrorIs(t, err, api.ErrStorage)
	require.Empty(t, b.chain.locals.txs)
}

// The application that judges may be away while peers bring what a user submits.
func TestPendingIsDurableWhereNobodyJudges(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	b.cfg.Judge = func(chain validation.Application) validation.Application { return away{chain} }
	b.restart(t)
	ours, never := b.payment(0, 1_000), b.payment(1, 1_000)
	checked, err := b.chain.checker.StoredTx(ours)
	require.NoError(t, err)
	require.NoError(t, b.chain.AddTx(t.Context(), checked, "peer"))
	require.Equal(t, api.Pending, b.submit(t, ours))
	require.Len(t, b.announcer.take(), 1)
	_, err = b.Submit(t.Context(), never.Bytes())
	require.ErrorIs(t, err, validation.Unavailable)
	b.restart(t)
	require.Equal(t, api.Pending, b.state(t, ours))
}

// away is an application that cannot be reached.
type away struct{ validation.Application }

func (away) CheckTxs(_ context.Context, _ time.Time, txs []validation.CheckedTx) []error {
	return slices.Repeat([]error{validation.Unavailable}, len(txs))
}

// A life that the disk did not take is taken back, and leaves nothing that blocks revive.
func TestALifeThatIsTakenBackLeavesNothing(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	genesis := b.chain.Head()
	tx, err := b.chain.checker.Tx(t.Context(), b.clock, b.payment(0, 1_000).Bytes())
	require.NoError(t, err)
	require.NoError(t, b.chain.addLocal(tx))
	b.forge(t, genesis, 2, b.payment(0, 800))
	require.Len(t, b.chain.locals.invalid, 1)
	b.chain.locals.disown(tx.ID())
	require.Empty(t, b.chain.locals.txs)
	require.Empty(t, b.chain.locals.invalid)
	b.extend(t, b.forge(t, genesis, 3), 1)
	require.False(t, b.chain.HasTx(tx.ID()))
}
