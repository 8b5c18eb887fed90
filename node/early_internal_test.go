package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// A wallet leaves a gap, fills it, lets the filler expire, and begins anew: what that pushes
// out of the pool was accepted and costs no fee, so it has a bound. Who is refused there may
// try again.
func TestFillingGapsDisplacesNoMoreThanTheBound(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	const most = 2 * earlyShare
	b.cfg.Mempool.MaxPerSender = most
	b.restart(t)
	b.at(20)
	const gap = most - 1
	for n := range uint64(gap) {
		require.Equal(t, api.Pending, b.submit(t, b.payment(n, 1_000)))
	}
	ahead := func(round uint64) *wire.Transaction {
		return b.sign(100, wire.TxBody{Nonce: gap + 1 + round, Fee: 2_000})
	}
	filler := func(round uint64) *wire.Transaction {
		return b.sign(100, wire.TxBody{Nonce: gap, Fee: 1_000 + round, ExpiresAt: uint64(b.clock.UnixMilli()) + 5_000})
	}
	for round := range uint64(10) {
		require.Equal(t, api.Accepted, b.submit(t, ahead(round)))
		if round >= most/earlyShare {
			refused := filler(round)
			_, err := b.Submit(t.Context(), refused.Bytes())
			require.ErrorIs(t, err, mempool.ErrSenderFull)
			require.Equal(t, api.Unknown, b.state(t, refused))
			require.Equal(t, api.Accepted, b.state(t, ahead(round)))
			break
		}
		require.Equal(t, api.Pending, b.submit(t, filler(round)))
		b.clock = b.clock.Add(6 * time.Second)
		b.chain.expire()
	}
	require.Len(t, b.chain.locals.early, most/earlyShare)

	at := b.forge(t, b.chain.Head(), 30, b.payment(0, 1_000), b.payment(1, 1_000), b.payment(2, 1_000))
	b.chain.retryEarly()
	require.Empty(t, b.chain.locals.early, "there is room again")
	require.Equal(t, api.Pending, b.submit(t, b.payment(gap, 1_000)))
	for round := range uint64(1 + most/earlyShare) {
		require.Equal(t, api.Pending, b.state(t, ahead(round)))
	}
	require.EqualValues(t, 1, at.Height)
}

// No sender can take all places, by number or by bytes; and only what was accepted here counts.
func TestPlacesBesideThePoolAreBounded(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	b.at(20)
	ours, theirs := b.payment(0, 1_000), b.payment(1, 1_000)
	require.Equal(t, api.Pending, b.submit(t, ours))
	checked := func(tx *wire.Transaction) validation.CheckedTx {
		c, err := b.chain.checker.StoredTx(tx)
		require.NoError(t, err)
		return c
	}
	large := checked(b.sign(101, wire.TxBody{Fee: 1 << 20, Payload: make([]byte, 100_000)}))
	small, same := checked(b.sign(102, wire.TxBody{})), checked(b.payment(2, 1_000))
	l := b.chain.locals
	for _, tt := range []struct {
		with  validation.CheckedTx
		times int
		want  bool
	}{
		{small, maxEarly - 1, false},
		{small, maxEarly, true},
		{large, maxEarlyBytes/large.Size() - 1, false},
		{large, maxEarlyBytes/large.Size() + 1, true},
		{same, l.perSender - 1, false},
		{same, l.perSender, true},
	} {
		clear(l.early)
		for i := range tt.times {
			l.early[wire.TxID{byte(i), byte(i >> 8)}] = tt.with
		}
		about := fmt.Sprintf("%d of %d bytes", tt.times, tt.with.Size())
		require.Equal(t, tt.want, l.crowded(checked(ours)), about)
		require.False(t, l.crowded(checked(theirs)), about)
	}
	clear(l.early)
}

// What waits beside the pool ends when its time is over, also behind another that waits on.
func TestWhatWaitsBesideThePoolExpires(t *testing.T) {
	const most = 2
	b := newNarrowBench(t, most)
	genesis := b.chain.Head()
	var ours []*wire.Transaction
	submit := func(body wire.TxBody) {
		body.Nonce = uint64(len(ours))
		ours = append(ours, b.sign(100, body))
		require.Equal(t, api.Pending, b.submit(t, ours[body.Nonce]))
	}
	for range most {
		submit(wire.TxBody{})
	}
	b.forge(t, genesis, 2, ours...)
	submit(wire.TxBody{})
	submit(wire.TxBody{ExpiresAt: b.Genesis().SlotStart(25)})
	b.extend(t, b.forge(t, genesis, 3), 1)
	require.Equal(t, api.Accepted, b.state(t, ours[3]))
	b.at(26)
	b.chain.expire()
	b.chain.retryEarly()
	require.Equal(t, api.Accepted, b.state(t, ours[2]))
	require.Equal(t, api.Expired, b.state(t, ours[3]))
}
