package node

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/overlay/stem"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// len is how many are on their way.
func (p *private) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.held)
}

// A private transaction whose nonce a block used meanwhile has an end, too.
func TestPrivateEndsWhenNobodyTakesIt(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	mine, rival := b.payment(0, 1_000), b.payment(0, 2_000)
	s, err := b.SubmitPrivately(t.Context(), mine.Bytes())
	require.NoError(t, err)
	require.Equal(t, api.Accepted, s.State)
	b.private.sweep()
	require.Equal(t, 1, b.private.len())
	require.Empty(t, b.chain.untold(0, 10), "not announced as ours")

	b.forge(t, b.chain.Head(), 2, rival)
	checked, err := b.chain.checker.StoredTx(mine)
	require.NoError(t, err)
	require.ErrorIs(t, b.chain.AddTx(t.Context(), checked, ""), validation.StaleNonce)
	require.Equal(t, api.Invalid, b.state(t, mine))
	b.private.sweep()
	require.Zero(t, b.private.len())
}

// Once it is public it is let go, and still not announced as ours.
func TestPublicIsNotPrivate(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	pooled, included := b.payment(0, 1_000), b.payment(1, 1_000)
	for _, tx := range []interface{ Bytes() []byte }{pooled, included} {
		_, err := b.SubmitPrivately(t.Context(), tx.Bytes())
		require.NoError(t, err)
	}
	checked, err := b.chain.checker.StoredTx(pooled)
	require.NoError(t, err)
	require.NoError(t, b.chain.AddTx(t.Context(), checked, "a peer"))
	require.Equal(t, api.Pending, b.state(t, pooled))
	b.private.sweep()
	require.Equal(t, 1, b.private.len())
	require.Empty(t, b.chain.untold(0, 10))

	b.forge(t, b.chain.Head(), 2, pooled, included)
	b.private.sweep()
	require.Zero(t, b.private.len())
	require.Equal(t, api.Included, b.state(t, included))
}

// No more are on their way than the bound, and who is refused may try again.
func TestPrivateIsBounded(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	for n := range maxPrivate {
		_, err := b.SubmitPrivately(t.Context(), b.payment(uint64(n), 1_000).Bytes())
		require.NoError(t, err)
	}
	_, err := b.SubmitPrivately(t.Context(), b.payment(maxPrivate, 1_000).Bytes())
	require.ErrorIs(t, err, validation.PoolFull)
	require.GreaterOrEqual(t, stem.DefaultConfig().MaxOwn, maxPrivate, "the overlay has room for them")
}

// endEmbargo has the embargo of a private transaction end, as the overlay does.
func (b *bench) endEmbargo(t *testing.T, tx *wire.Transaction) error {
	t.Helper()
	checked, err := b.chain.checker.StoredTx(tx)
	require.NoError(t, err)
	return b.chain.AddTx(t.Context(), checked, "")
}

// R122: a nonce too far ahead is refused in private as in public, where what is on its way
// counts as if it were there.
func TestPrivateNonceTooFarIsRefused(t *testing.T) {
	const gap = 4
	b := newBench(t, 5, vfs.NewMem())
	b.cfg.Mempool.MaxNonceGap = gap
	b.restart(t)
	private := func(nonce uint64) error {
		_, err := b.SubmitPrivately(t.Context(), b.payment(nonce, 1_000).Bytes())
		return err
	}
	require.ErrorIs(t, private(gap+1), validation.NonceTooFar)
	for nonce := range uint64(3 * gap) {
		require.NoError(t, private(nonce))
	}
	require.NoError(t, private(4*gap))
	require.ErrorIs(t, private(4*gap+1), validation.NonceTooFar)
	require.Equal(t, 3*gap+1, b.private.len())

	// The wallet is told to go on behind all of that, early or not.
	require.ErrorIs(t, b.endEmbargo(t, b.payment(3*gap-1, 1_000)), validation.NonceTooFar)
	b.private.sweep()
	account, err := b.Backend().Account(t.Context(), keyfile.Address(benchKey(100)))
	require.NoError(t, err)
	require.EqualValues(t, 3*gap, account.NextNonce)
}

// R122: one user cannot keep all places: what is early when its embargo ends gives its up, and
// is as good as accepted.
func TestEarlyPrivateGivesUpItsPlace(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	b.cfg.Mempool.MaxNonceGap = maxPrivate / 4
	b.restart(t)
	for nonce := range uint64(maxPrivate) {
		_, err := b.SubmitPrivately(t.Context(), b.payment(nonce, 1_000).Bytes())
		require.NoError(t, err)
	}
	_, err := b.SubmitPrivately(t.Context(), b.payment(maxPrivate, 1_000).Bytes())
	require.ErrorIs(t, err, validation.PoolFull)

	last := b.payment(maxPrivate-1, 1_000)
	require.ErrorIs(t, b.endEmbargo(t, last), validation.NonceTooFar)
	b.private.sweep()
	require.Equal(t, maxPrivate-1, b.private.len())
	require.Equal(t, api.Accepted, b.state(t, last))
	_, err = b.SubmitPrivately(t.Context(), b.payment(maxPrivate, 1_000).Bytes())
	require.NoError(t, err)
}

// R122: what was early when its embargo ended is announced once it is pooled: nobody else will.
func TestGivenUpPrivateIsAnnouncedInTheEnd(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	b.cfg.Mempool.MaxNonceGap = 1
	b.restart(t)
	var txs []*wire.Transaction
	for nonce := range uint64(3) {
		txs = append(txs, b.payment(nonce, 1_000))
		_, err := b.SubmitPrivately(t.Context(), txs[nonce].Bytes())
		require.NoError(t, err)
	}
	require.ErrorIs(t, b.endEmbargo(t, txs[2]), validation.NonceTooFar)
	require.NoError(t, b.endEmbargo(t, txs[0]))
	require.NoError(t, b.endEmbargo(t, txs[1]))
	b.chain.retryEarly()
	require.Equal(t, api.Pending, b.state(t, txs[2]))
	list := b.chain.untold(time.Hour, 10)
	require.Len(t, list, 1, "the others were published by the overlay when it pooled them")
	require.Equal(t, txs[2].ID(), list[0].ID())
}

// So is what the head of that moment forbade, once a block allows it again.
func TestRevivedPrivateIsAnnounced(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	genesis := b.chain.Head()
	fund := b.sign(100, wire.TxBody{To: keyfile.Address(benchKey(101)), Amount: 1_000_000})
	b.forge(t, genesis, 2, fund)
	ours := b.sign(101, wire.TxBody{To: wire.Address{7}, Amount: 1})
	_, err := b.SubmitPrivately(t.Context(), ours.Bytes())
	require.NoError(t, err)
	side := b.extend(t, b.forge(t, genesis, 3), 1)
	require.ErrorIs(t, b.endEmbargo(t, ours), validation.Overdraft)
	require.Equal(t, api.Invalid, b.state(t, ours))
	b.forge(t, side, side.Slot+1, fund)
	require.Equal(t, api.Pending, b.state(t, ours))
	b.private.sweep()
	require.Zero(t, b.private.len())
	require.Len(t, b.chain.untold(time.Hour, 10), 1)
}

// What expires before the overlay has it ends, too, and gives up its place: else whoever submits
// what lives for some seconds keeps all places for ever.
func TestPrivateEndsWhenItExpires(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	b.at(20)
	expires := uint64(b.clock.UnixMilli()) + 5_000
	var secret []*wire.Transaction
	for nonce := range uint64(maxPrivate) {
		secret = append(secret, b.sign(100, wire.TxBody{Nonce: nonce, To: wire.Address{7}, Amount: 1, ExpiresAt: expires}))
		_, err := b.SubmitPrivately(t.Context(), secret[nonce].Bytes())
		require.NoError(t, err)
	}
	b.clock = b.clock.Add(6 * time.Second)
	for range 3 { // what keepHouse does
		b.chain.expire()
		b.chain.retryEarly()
		b.private.sweep()
	}
	for _, id := range b.private.announcer.take() { // and the announcer, whose turn is late
		_, live := b.private.get(id)
		require.False(t, live)
	}
	require.Equal(t, api.Expired, b.state(t, secret[0]))
	require.Zero(t, b.private.len())
	_, err := b.SubmitPrivately(t.Context(), b.payment(0, 1_000).Bytes())
	require.NoError(t, err, "there is room again")
}

// R18: what is on its way to the pool has to be paid for, too.
func TestPrivateOverdraftsAreRefused(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	b.at(20)
	private := func(nonce uint64) error {
		_, err := b.SubmitPrivately(t.Context(), b.sign(100, wire.TxBody{Nonce: nonce, To: wire.Address{7}, Amount: 600_000_000}).Bytes())
		return err
	}
	require.NoError(t, private(0))
	require.ErrorIs(t, private(1), validation.Overdraft, "the balance is 1,000,000,000")
}

// R18: nor may it take a nonce that is taken, for no more fee.
func TestPrivateReplacementsPay(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	b.at(20)
	one := b.sign(100, wire.TxBody{To: wire.Address{7}, Amount: 1})
	two := b.sign(100, wire.TxBody{To: wire.Address{7}, Amount: 2})
	_, err := b.SubmitPrivately(t.Context(), one.Bytes())
	require.NoError(t, err)
	_, err = b.SubmitPrivately(t.Context(), two.Bytes())
	require.ErrorIs(t, err, validation.Underpriced)
}

// What finds its nonce taken at the end of its embargo was replaced, however much room there is.
func TestPrivateWhoseNonceIsTakenIsReplaced(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	secret, public := b.sign(100, wire.TxBody{To: wire.Address{7}, Amount: 1}), b.sign(100, wire.TxBody{To: wire.Address{7}, Amount: 2})
	_, err := b.SubmitPrivately(t.Context(), secret.Bytes())
	require.NoError(t, err)
	require.Equal(t, api.Pending, b.submit(t, public))
	sub := b.Backend().Subscribe(nil)
	require.ErrorIs(t, b.endEmbargo(t, secret), validation.Underpriced)
	require.Equal(t, []api.Kind{api.TxReplaced}, kinds(t, sub))
	for range 2 {
		s, err := b.txStatus(secret.ID())
		require.NoError(t, err)
		require.Equal(t, api.Replaced, s.State)
		require.Equal(t, public.ID(), *s.By)
		require.Equal(t, api.Pending, b.state(t, public))
		b.restart(t)
	}
}

// R18: nor may what is submitted publicly spend what the private ones before it will.
func TestPrivateOnesCountAgainstThePublic(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	_, err := b.SubmitPrivately(t.Context(), b.sign(100, wire.TxBody{To: wire.Address{7}, Amount: 600_000_000}).Bytes())
	require.NoError(t, err)
	_, err = b.Submit(t.Context(), b.sign(100, wire.TxBody{To: wire.Address{7}, Nonce: 1, Amount: 600_000_000}).Bytes())
	require.ErrorIs(t, err, validation.Overdraft, "the balance is 1,000,000,000")
	require.Equal(t, api.Pending, b.submit(t, b.sign(100, wire.TxBody{To: wire.Address{7}, Amount: 600_000_000, Fee: 2_000})), "instead of the first")
}

// What others of its sender spend after it is no reason for a private one to end.
func TestPrivateGoesBeforeWhatFollowsIt(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	secret, after := b.sign(100, wire.TxBody{To: wire.Address{7}, Amount: 600_000_000}), b.sign(100, wire.TxBody{To: wire.Address{7}, Nonce: 1, Amount: 600_000_000})
	_, err := b.SubmitPrivately(t.Context(), secret.Bytes())
	require.NoError(t, err)
	checked, err := b.chain.checker.StoredTx(after)
	require.NoError(t, err)
	require.NoError(t, b.chain.AddTx(t.Context(), checked, "peer"))
	require.NoError(t, b.endEmbargo(t, secret))
	require.Equal(t, api.Pending, b.state(t, secret))
	require.Equal(t, api.Unknown, b.state(t, after))
}
