package node

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// forge makes the block of a slot on any parent, by whoever's turn it is, and
// adds it as if a peer had sent it.
func (b *bench) forge(t *testing.T, parent ledger.Ref, slot uint64, txs ...*wire.Transaction) ledger.Ref {
	t.Helper()
	ref, err := b.tryForge(parent, slot, txs...)
	require.NoError(t, err)
	return ref
}

func (b *bench) tryForge(parent ledger.Ref, slot uint64, txs ...*wire.Transaction) (ledger.Ref, error) {
	g := b.Genesis()
	if now, _ := g.SlotAt(uint64(b.clock.UnixMilli())); now < max(slot, 20) {
		b.at(max(slot, 20))
	}
	key := b.keys[slot%uint64(len(b.keys))]
	block := &wire.Block{Txs: txs}
	body := &wire.HeaderBody{
		Version: 1, Height: parent.Height + 1, Parent: parent.ID, Producer: keyfile.Address(key), FeeRecipient: keyfile.Address(key),
		Slot: slot, Time: g.SlotStart(slot), TxCount: uint32(len(txs)), TxRoot: wire.TxRoot(block.TxIDs()),
	}
	var parts []validation.Part
	for _, tx := range txs {
		body.Size += uint32(tx.Size())
		parts = append(parts, validation.Part{Tx: tx})
	}
	body.ShortIDsHash = wire.ShortIDsHash(wire.ShortIDs(body.Salt, block.TxIDs()))
	header, err := b.chain.checker.Header(context.Background(), b.clock, wire.SignHeader(g.ID(), key, body), validation.Sync)
	if err != nil {
		return ledger.Ref{}, err
	}
	checked, err := b.chain.checker.Block(header, parts)
	if err != nil {
		return ledger.Ref{}, err
	}
	ref := ledger.Ref{ID: checked.ID(), Height: body.Height, Slot: slot, Time: body.Time}
	return ref, b.chain.AddBlock(context.Background(), checked, "peer")
}

// crashed starts the node anew from what is on disk.
func (b *bench) crashed(t *testing.T, disk *crashdisk.Disk) {
	t.Helper()
	b.cfg.FS = disk.Crash(vfs.CrashCloneCfg{})
	require.NoError(t, b.Node.Close())
	var err error
	b.Node, err = New(b.cfg)
	require.NoError(t, err)
}

func (b *bench) submit(t *testing.T, tx *wire.Transaction) api.State {
	t.Helper()
	s, err := b.Submit(t.Context(), tx.Bytes())
	require.NoError(t, err)
	return s.State
}

func (b *bench) state(t *testing.T, tx *wire.Transaction) api.State {
	t.Helper()
	s, err := b.txStatus(tx.ID())
	require.NoError(t, err)
	return s.State
}

func (b *bench) final(t *testing.T) ledger.Ref {
	t.Helper()
	_, final := b.chain.ends()
	return final
}

// restart opens the node anew on the same disk.
func (b *bench) restart(t *testing.T) {
	t.Helper()
	require.NoError(t, b.chain.locals.flush())
	require.NoError(t, b.Node.Close())
	n, err := New(b.cfg)
	require.NoError(t, err)
	b.Node = n
	t.Cleanup(func() { _ = n.Close() })
}

// kinds drains a subscription.
func kinds(t *testing.T, sub api.Subscription) []api.Kind {
	t.Helper()
	var list []api.Kind
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		e, err := sub.Next(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return list
		}
		require.NoError(t, err)
		list = append(list, e.Kind)
	}
}

// R29: lost transactions return to the pool, and an event says so.
func TestTransactionsOfALostForkComeBack(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	genesis := b.chain.Head()
	sub := b.Backend().Subscribe(nil)
	one, two := b.payment(0, 1_000), b.payment(1, 1_000)
	require.Equal(t, api.Pending, b.submit(t, one))
	require.Equal(t, []api.Kind{api.TxAccepted, api.TxPending}, kinds(t, sub))

	b.forge(t, genesis, 2, one, two) // two was never in our pool
	require.Equal(t, api.Included, b.state(t, one))
	require.Zero(t, b.mempool().Count)
	require.Equal(t, []api.Kind{api.BlockAdded, api.TxIncluded, api.TxIncluded}, kinds(t, sub))

	side := b.forge(t, genesis, 3)
	require.Equal(t, api.Included, b.state(t, one), "as high, but of a later slot")
	b.forge(t, side, 4)
	require.Equal(t, api.Pending, b.state(t, one))
	require.Equal(t, api.Pending, b.state(t, two))
	require.Equal(t, []api.Kind{api.Rollback, api.BlockAdded, api.BlockAdded, api.TxPending, api.TxPending}, kinds(t, sub))

	b.restart(t)
	require.Equal(t, api.Pending, b.state(t, one), "it is a local one")
	require.Equal(t, api.Unknown, b.state(t, two))
}

// newNarrowBench is a bench whose pool takes that many of a sender at most.
func newNarrowBench(t *testing.T, most int) *bench {
	t.Helper()
	b := newBench(t, 5, vfs.NewMem())
	b.cfg.Mempool.MaxPerSender = most
	b.restart(t)
	return b
}

// What a lost fork gives back may be more than a sender may have in the pool. The last of
// them wait then, outlive a restart, and nothing that is signed meanwhile takes their nonces.
//
// R19: what was accepted is not lost.
func TestALostForkPushesOutNothingAccepted(t *testing.T) {
	const most = 4
	b := newNarrowBench(t, most)
	genesis := b.chain.Head()
	var ours []*wire.Transaction
	state := func(want api.State, txs []*wire.Transaction) {
		t.Helper()
		for _, tx := range txs {
			require.Equal(t, want, b.state(t, tx))
		}
		account, err := b.Backend().Account(t.Context(), keyfile.Address(benchKey(100)))
		require.NoError(t, err)
		require.EqualValues(t, len(ours), account.NextNonce)
	}
	submit := func() {
		for range most {
			tx := b.payment(uint64(len(ours)), 1_000)
			require.Equal(t, api.Pending, b.submit(t, tx))
			ours = append(ours, tx)
		}
	}
	submit()
	b.forge(t, genesis, 2, ours...)
	submit()
	sub := b.Backend().Subscribe(nil)
	side := b.forge(t, genesis, 3)
	side = b.forge(t, side, 4)
	state(api.Pending, ours[:most])
	state(api.Accepted, ours[most:])
	require.NotContains(t, kinds(t, sub), api.TxEvicted)
	for range 2 {
		b.chain.retryEarly()
		state(api.Accepted, ours[most:])
		b.restart(t)
	}

	b.forge(t, side, 5, ours[:most]...)
	b.chain.retryEarly()
	state(api.Pending, ours[most:])
	require.Empty(t, b.chain.locals.early)
}

func TestAnInvalidatedLocalTransactionLivesAgainAfterARollback(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	genesis := b.chain.Head()
	ours, rival := b.payment(0, 1_000), b.payment(0, 800)
	require.Equal(t, api.Pending, b.submit(t, ours))
	b.forge(t, genesis, 2, rival)
	require.Equal(t, api.Invalid, b.state(t, ours))
	b.restart(t)
	require.Equal(t, api.Invalid, b.state(t, ours), "for now")

	side := b.forge(t, genesis, 3)
	b.forge(t, side, 4)
	require.Equal(t, api.Pending, b.state(t, ours))
}

// Asking again what became of a transaction that a block invalidated, by submitting it
// again, changes nothing of what becomes of it.
func TestAnInvalidatedLocalTransactionOutlivesItsResubmission(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	genesis := b.chain.Head()
	ours := []*wire.Transaction{b.payment(0, 100_000_000), b.payment(1, 300_000_000), b.payment(2, 300_000_000)}
	for _, tx := range ours {
		require.Equal(t, api.Pending, b.submit(t, tx))
	}
	rival := wire.SignTx(b.Genesis().ID(), benchKey(100), &wire.TxBody{ // what it leaves pays for one more
		Version: wire.TxVersion, Sender: keyfile.Address(benchKey(100)), Fee: 500_000_000, ExpiresAt: b.Genesis().SlotStart(25),
	})
	b.forge(t, genesis, 2, rival)
	want := []api.State{api.Invalid, api.Pending, api.Invalid}
	for range 2 {
		for i, tx := range ours {
			require.Equal(t, want[i], b.submit(t, tx), "nonce %d", i)
			require.Equal(t, want[i], b.state(t, tx), "nonce %d", i)
		}
	}

	side := b.forge(t, genesis, 30) // the rival's time is over
	b.forge(t, side, 31)
	for i, tx := range ours {
		require.Equal(t, api.Pending, b.state(t, tx), "nonce %d", i)
	}
}

// The chain that won has another transaction in the place of ours.
func TestWhatALostForkHeldAndTheNextForbidsHasEnded(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	genesis := b.chain.Head()
	ours, rival := b.payment(0, 1_000), b.payment(0, 800)
	require.Equal(t, api.Pending, b.submit(t, ours))
	b.forge(t, genesis, 2, ours)
	require.Equal(t, api.Included, b.state(t, ours))
	sub := b.Backend().Subscribe(nil)
	side := b.forge(t, genesis, 3, rival)
	side = b.forge(t, side, 4)
	require.Equal(t, api.Invalid, b.state(t, ours))
	require.Contains(t, kinds(t, sub), api.TxInvalid)

	side = b.forge(t, side, 5)
	side = b.forge(t, side, 6)
	b.forge(t, side, 7)
	require.Less(t, uint64(0), b.final(t).Height)
	b.restart(t)
	require.Equal(t, api.Invalid, b.state(t, ours))
	require.Empty(t, b.chain.locals.txs, "for good")
}

// What was accepted here behind nonces that were submitted elsewhere outlives a kill, which
// costs the pool those others: they come from peers again, or in a block.
//
// R19: what was accepted is not lost.
func TestAcceptedBehindWhatWasSubmittedElsewhereOutlivesAKill(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	const elsewhere, here, mayWait = 60, 40, 50
	theirs := func() {
		for nonce := range uint64(elsewhere) {
			tx, err := b.chain.checker.Tx(t.Context(), b.clock, b.payment(nonce, 1_000).Bytes())
			require.NoError(t, err)
			require.NoError(t, b.chain.AddTx(t.Context(), tx, "peer"))
		}
	}
	theirs()
	var ours []*wire.Transaction
	for i := range uint64(here) {
		tx := b.payment(elsewhere+i, 1_000)
		require.Equal(t, api.Pending, b.submit(t, tx))
		ours = append(ours, tx)
	}
	b.cfg.Mempool.MaxNonceGap = mayWait
	b.restart(t)
	for range 2 {
		b.chain.retryEarly()
		for _, tx := range ours {
			require.Equal(t, api.Accepted, b.state(t, tx), "it waits for the others")
		}
	}
	theirs()
	b.chain.retryEarly()
	for _, tx := range ours {
		require.Equal(t, api.Pending, b.state(t, tx))
	}
	require.Empty(t, b.chain.locals.early)
	require.Len(t, b.chain.untold(0, 1000), here)
}

// A burst that was accepted while the clock was set back is pooled again at once.
func TestARestartFollowsNoncesNotTheClock(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	var ours []*wire.Transaction
	for nonce := range uint64(80) {
		ours = append(ours, b.payment(nonce, 1_000))
		b.submit(t, ours[nonce])
		b.clock = b.clock.Add(-time.Second)
	}
	b.cfg.Mempool.MaxNonceGap = 10
	b.restart(t)
	for _, tx := range ours {
		require.Equal(t, api.Pending, b.state(t, tx))
	}
}

// However often the same bytes are submitted at the same time, they are accepted once.
func TestSubmittingAtOnceIsSubmittingOnce(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	sub := b.Backend().Subscribe(nil)
	tx, err := b.chain.checker.Tx(t.Context(), b.clock, b.payment(0, 1_000).Bytes())
	require.NoError(t, err)
	for range 2 { // before either is on disk
		require.NoError(t, b.chain.addLocal(tx))
	}
	for range 2 {
		require.NoError(t, b.store.PutLocalTx(tx.Tx(), b.clock))
		b.chain.keptLocal(tx)
	}
	require.Equal(t, []api.Kind{api.TxAccepted, api.TxPending}, kinds(t, sub))

	var wallets sync.WaitGroup
	next := b.payment(1, 1_000)
	for range 20 {
		wallets.Go(func() {
			status, err := b.Submit(t.Context(), next.Bytes())
			assert.NoError(t, err)
			assert.Equal(t, api.Pending, status.State)
		})
	}
	wallets.Wait()
	require.Equal(t, []api.Kind{api.TxAccepted, api.TxPending}, kinds(t, sub))
	require.Len(t, b.announcer.take(), 1, "announced once; the first was not submitted")
}

func TestAnEndIsKeptOnceItIsFinal(t *testing.T) {
	b := newBench(t, 3, vfs.NewMem())
	in, lost, rival := b.payment(0, 1_000), b.payment(1, 1_000), b.payment(1, 2_000)
	for _, tx := range []*wire.Transaction{in, lost} {
		require.Equal(t, api.Pending, b.submit(t, tx))
	}
	at := b.forge(t, b.chain.Head(), 1, in, rival)
	at = b.forge(t, at, 2)
	at = b.forge(t, at, 3)
	require.Equal(t, api.Final, b.state(t, in))
	require.Equal(t, api.Invalid, b.state(t, lost))
	b.restart(t)
	require.Equal(t, api.Final, b.state(t, in))
	require.Equal(t, api.Invalid, b.state(t, lost))
	kept, err := b.store.LocalTxs()
	require.NoError(t, err)
	require.Empty(t, kept)
	require.Empty(t, b.chain.locals.txs)
	require.True(t, b.chain.HasBlock(at.ID))
	first, ok := b.chain.BlockAt(1)
	require.True(t, ok)
	require.True(t, b.chain.HasBlock(first), "final, and asked of the store")
	require.False(t, b.chain.HasBlock(wire.BlockID{9}))
	_, err = b.chain.Block(wire.BlockID{9})
	require.ErrorIs(t, err, overlay.NotFound)
}

func TestEveryReplacementIsToldAndKept(t *testing.T) {
	b := newBench(t, 3, vfs.NewMem())
	tx := b.payment(0, 1_000)
	b.submit(t, tx)
	second, third := b.payment(0, 2_000), b.payment(0, 4_000)
	b.submit(t, second)
	b.submit(t, third)
	require.Equal(t, api.Replaced, b.state(t, tx))
	require.Equal(t, api.Replaced, b.state(t, second))
	b.restart(t)
	require.Equal(t, api.Replaced, b.state(t, tx))
	s, err := b.txStatus(second.ID())
	require.NoError(t, err)
	require.Equal(t, third.ID(), *s.By)
	require.Equal(t, api.Pending, b.state(t, third))
}

func TestABadBlockChangesNothing(t *testing.T) {
	b := newBench(t, 3, vfs.NewMem())
	before := b.chain.Head()
	_, err := b.tryForge(before, 1, b.payment(5, 1_000))
	require.ErrorIs(t, err, validation.BadBlock)
	require.Equal(t, before, b.chain.Head())
	at := b.forge(t, before, 2)
	_, err = b.tryForge(before, 2)
	require.ErrorIs(t, err, validation.AlreadyKnown)
	b.restart(t)
	require.Equal(t, at, b.chain.Head())
}

func TestEverySubmissionIsRefusedForItsOwnReason(t *testing.T) {
	b := newBench(t, 3, vfs.NewMem())
	b.at(20)
	g := b.Genesis()
	key := benchKey(100)
	sign := func(change func(*wire.TxBody)) []byte {
		body := &wire.TxBody{Version: 1, Sender: keyfile.Address(key), Fee: 1_000, To: wire.Address{1}, Amount: 1}
		change(body)
		return wire.SignTx(g.ID(), key, body).Bytes()
	}
	good := sign(func(*wire.TxBody) {})
	broken := append([]byte(nil), good...)
	broken[len(broken)-1] ^= 1
	foreign := wire.SignTx(wire.NetworkID{1}, key, &wire.TxBody{Version: 1, Sender: keyfile.Address(key), Fee: 1_000}).Bytes()
	for _, tt := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"signature", broken, "bad_signature"},
		{"network", foreign, "bad_signature"},
		{"fee", sign(func(b *wire.TxBody) { b.Fee = 1 }), "fee_too_low"},
		{"gap", sign(func(b *wire.TxBody) { b.Nonce = 10_000 }), "nonce_too_far"},
		{"balance", sign(func(b *wire.TxBody) { b.Amount = 1 << 40 }), "overdraft"},
		{"expired", sign(func(b *wire.TxBody) { b.ExpiresAt = 5 }), "expired"},
		{"trailing", append(append([]byte(nil), good...), 0), ""},
		{"empty", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := b.Submit(t.Context(), tt.raw)
			require.Error(t, err)
			if tt.want != "" {
				require.Equal(t, tt.want, validation.RuleBroken(err))
			}
			kept, err := b.store.LocalTxs()
			require.NoError(t, err)
			require.Empty(t, kept, "nothing is kept")
			require.Empty(t, b.chain.locals.txs)
		})
	}
}

func TestBackendAnswers(t *testing.T) {
	b := newBench(t, 3, vfs.NewMem())
	asked := b.Backend()
	b.submit(t, b.payment(0, 1_000))
	sender := keyfile.Address(benchKey(100))
	account, err := asked.Account(t.Context(), sender)
	require.NoError(t, err)
	require.EqualValues(t, 0, account.Nonce)
	require.EqualValues(t, 1, account.NextNonce)
	at := b.forge(t, b.chain.Head(), 1, b.payment(0, 1_000))
	account, err = asked.Account(t.Context(), sender)
	require.NoError(t, err)
	require.EqualValues(t, 1, account.Nonce)
	require.EqualValues(t, 1_000_000_000-1_001, account.Balance)

	stored, err := asked.BlockByID(t.Context(), at.ID)
	require.NoError(t, err)
	require.True(t, stored.Best)
	require.False(t, stored.Final)
	require.NotZero(t, stored.Arrived)
	_, err = asked.BlockAt(t.Context(), 2)
	require.ErrorIs(t, err, api.ErrNotFound)
	_, err = asked.BlockAt(t.Context(), 0)
	require.ErrorIs(t, err, api.ErrNotFound)
	_, err = asked.BlockByID(t.Context(), wire.BlockID{1})
	require.ErrorIs(t, err, api.ErrNotFound)

	status, err := asked.Status(t.Context())
	require.NoError(t, err)
	require.False(t, status.Ready)
	require.NotEmpty(t, status.Waiting)
	require.True(t, status.Producer.Active)
	fees, err := asked.Fees(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1_000, fees.Floor)
	peers, err := asked.Peers(t.Context())
	require.NoError(t, err)
	require.Empty(t, peers)
}

// TestEvidenceOutlivesTheProcess convicts a producer, restarts, and asks.
func TestEvidenceOutlivesTheProcess(t *testing.T) {
	disk := crashdisk.New()
	b := newBench(t, 1, disk)
	g := b.Genesis()
	header := func(fee wire.Address) *wire.Header {
		return wire.SignHeader(g.ID(), b.home.producer, &wire.HeaderBody{
			Version: 1, Height: 1, Parent: g.ID().GenesisBlock(), Producer: keyfile.Address(b.home.producer), FeeRecipient: fee,
			Slot: 1, Time: g.SlotStart(1), TxRoot: wire.TxRoot(nil), ShortIDsHash: wire.ShortIDsHash(nil),
		})
	}
	one, two := header(wire.Address{1}), header(wire.Address{2})
	if one.ID().String() > two.ID().String() {
		one, two = two, one
	}
	ev, err := b.chain.checker.Evidence((&wire.Evidence{First: one, Second: two}).AppendTo(nil))
	require.NoError(t, err)
	require.True(t, b.chain.AddEvidence(ev))
	require.NoError(t, b.chain.archive.write())
	want, err := b.Backend().Evidence(t.Context())
	require.NoError(t, err)
	require.Len(t, want, 1)
	require.Equal(t, one.ID(), want[0].First)
	status, err := b.Backend().Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, status.Equivocations)

	crashed := disk.Crash(vfs.CrashCloneCfg{})
	cfg := b.cfg
	require.NoError(t, b.Close())
	cfg.FS = crashed
	again, err := New(cfg)
	require.NoError(t, err)
	defer again.Close()
	got, err := again.Backend().Evidence(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.False(t, again.chain.AddEvidence(ev), "no news any more")
}

// Every header of the gossip asks whether its block is there: that must not cost
// a hash over all that a large genesis allocates.
func TestLookingForABlockDoesNotHashGenesis(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	b.chain.genesis.Allocations = append(b.chain.genesis.Allocations, make([]wire.Allocation, 10_000)...)
	var before, after runtime.MemStats
	const looks = 10
	runtime.ReadMemStats(&before)
	for i := range looks {
		require.False(t, b.chain.HasBlock(wire.BlockID{byte(i + 1)}))
	}
	runtime.ReadMemStats(&after)
	require.Less(t, (after.TotalAlloc-before.TotalAlloc)/looks, uint64(len(b.chain.genesis.Allocations)))
}

// What a block holds is found in the pool, and what the pool lacks of it among what left.
func TestABlockIsMatchedWithWhatIsPooledAndWhatLeft(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	left, pooled, strange := b.payment(0, 1_000), b.payment(1, 1_000), b.payment(2, 1_000)
	for _, tx := range []*wire.Transaction{left, pooled} {
		require.Equal(t, api.Pending, b.submit(t, tx))
	}
	b.forge(t, b.chain.Head(), 2, left)
	salt := wire.Salt{7}
	want := wire.ShortIDs(salt, []wire.TxID{left.ID(), pooled.ID(), strange.ID()})
	var found []wire.TxID
	for _, tx := range b.chain.Match(salt, want) {
		found = append(found, tx.ID())
	}
	require.ElementsMatch(t, []wire.TxID{left.ID(), pooled.ID()}, found)
}

// What a lost block gives back comes before what follows it: where the sender can no more pay
// for both, the later one goes, as it does where a block takes the money.
//
// R19: what was accepted is not lost.
func TestWhatALostForkGivesBackGoesBeforeWhatFollowsIt(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	poor := keyfile.Address(benchKey(101))
	fund := func(nonce uint64) *wire.Transaction {
		return b.sign(100, wire.TxBody{Nonce: nonce, To: poor, Amount: 1_000_000})
	}
	base := b.forge(t, b.chain.Head(), 1, fund(0))
	first := b.sign(101, wire.TxBody{To: wire.Address{7}, Amount: 900_000})
	second := b.sign(101, wire.TxBody{Nonce: 1, To: wire.Address{7}, Amount: 900_000})
	require.Equal(t, api.Pending, b.submit(t, first))
	b.forge(t, base, 2, fund(1), first)
	require.Equal(t, api.Pending, b.submit(t, second))

	b.extend(t, b.forge(t, base, 3), 1) // without the second payment to it, nor anything of it
	require.Equal(t, api.Pending, b.state(t, first), "the account has the nonce and the money for it")
	require.Len(t, b.chain.pool.Template(b.clock, 1<<20, 10), 2, "it and fund(1) can be in the next block")
}
