package mempool_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/validation"
)

// pooledOf counts how many of these are in the pool.
func pooledOf(p *mempool.Pool, txs []validation.CheckedTx) (n int) {
	for _, tx := range txs {
		if p.Has(tx.ID()) {
			n++
		}
	}
	return n
}

// gapped are so many transactions that wait, each of a sender of its own.
func gapped(n, first int, fee uint64) (txs []validation.CheckedTx) {
	for i := range n {
		txs = append(txs, pay(first+i, 1, fee))
	}
	return txs
}

// What a peer sends that waits costs nobody a place who has fewer, whatever it offers and
// however many accounts it uses: that price need never be paid.
//
// R145: no peer pushes out what another brought to wait.
func TestNoPeerPushesOutWhatAnotherHasWaiting(t *testing.T) {
	c := crowd()
	p := newPool(t, c)
	honest, flood := gapped(c.MaxWaiting/4, 0, 1), gapped(20*c.MaxWaiting, 1_000, 1_000_000)
	for _, tx := range honest {
		_, err := p.Add(start, tx, rich, "honest")
		require.NoError(t, err)
	}
	for _, tx := range flood {
		_, _ = p.Add(start, tx, rich, "flood")
	}
	require.Equal(t, len(honest), pooledOf(p, honest))
	require.Equal(t, c.MaxWaiting-len(honest), pooledOf(p, flood))

	for _, tx := range gapped(c.MaxWaiting/4, 100_000, 1) { // comes late and pays least
		change, err := p.Add(start, tx, rich, "late")
		require.NoError(t, err)
		require.Len(t, change.Removed, 1)
		require.True(t, pooledOf(p, flood) < c.MaxWaiting-len(honest), "who takes most loses")
	}
	require.Equal(t, len(honest), pooledOf(p, honest))
	require.Equal(t, c.MaxWaiting, p.Stats().Waiting)
}

// Of one peer the price decides, and what is behind the widest gap goes first.
func TestAPeersOwnWaitingOnesYieldToBetterOnes(t *testing.T) {
	c := crowd()
	c.MaxWaiting = 2
	p := newPool(t, c)
	near, far, dear := pay(1, 1, 100), pay(1, 2, 100), pay(2, 1, 101)
	add(t, p, near)
	add(t, p, far)
	change := add(t, p, dear)
	require.Equal(t, far.ID(), change.Removed[0].ID)
	_, err := p.Add(start, pay(3, 1, 100), rich, stranger)
	require.ErrorIs(t, err, validation.PoolFull)
}

// What this node answers for leaves for nothing that waits; for what can be confirmed, after
// all others that wait.
//
// R145: what was accepted waits in its place whatever peers send.
func TestOwnOnesThatWaitStay(t *testing.T) {
	c := crowd()
	p := newPool(t, c)
	own := gapped(c.MaxWaiting/2, 0, 1)
	for i, tx := range own {
		from := mempool.Own
		if i%2 == 0 {
			from = stranger // first, and is accepted later
		}
		_, err := p.Add(start, tx, rich, from)
		require.NoError(t, err)
		p.Adopt(tx.ID())
	}
	for _, tx := range gapped(10*c.MaxWaiting, 10_000, 1_000_000) {
		_, _ = p.Add(start, tx, rich, stranger)
	}
	require.Equal(t, len(own), pooledOf(p, own))
	require.Equal(t, c.MaxWaiting, p.Stats().Waiting)

	fill(t, p, mempool.Config{MaxCount: c.MaxCount - len(own)}, 1)
	require.Equal(t, len(own), pooledOf(p, own))
	require.Equal(t, len(own), p.Stats().Waiting)
	add(t, p, pay(5_000, 0, 1))
	require.Equal(t, len(own)-1, pooledOf(p, own))
}

// TestOwnOnesFillNoMoreThanTheirPlaces: an own one that finds only own ones is refused.
func TestOwnOnesFillNoMoreThanTheirPlaces(t *testing.T) {
	c := crowd()
	p := newPool(t, c)
	for i, tx := range gapped(2*c.MaxWaiting, 0, 1) {
		_, err := p.Add(start, tx, rich, mempool.Own)
		if i < c.MaxWaiting {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, validation.PoolFull)
		}
	}
}

func TestWaitingBytesAreBounded(t *testing.T) {
	const large = 100_000
	c := crowd()
	c.MaxCount, c.MaxWaiting = 2_000, 1_000
	p := newPool(t, c)
	small := gapped(c.MaxWaiting/2, 10_000, 1) // more of them than of the large ones
	for _, tx := range small {
		_, err := p.Add(start, tx, rich, "small")
		require.NoError(t, err)
	}
	taken, refused := 0, 0
	for i := 0; refused == 0; i++ {
		tx := mint(unsigned(validation.TxTerms{Sender: addressOf(1_000 + i%100), Nonce: uint64(1 + i/100), Fee: 1 << 40}, large, 0))[0]
		if _, err := p.Add(start, tx, mempool.Account{Balance: 1 << 50}, "large"); err == nil {
			taken += tx.Size()
		} else {
			require.ErrorIs(t, err, validation.PoolFull)
			refused++
		}
		require.Less(t, taken, 2*c.MaxWaitingBytes)
	}
	require.LessOrEqual(t, p.Bytes(), c.MaxWaitingBytes)
	require.Greater(t, p.Bytes(), c.MaxWaitingBytes-2*large)
	require.Equal(t, len(small), pooledOf(p, small))
	add(t, p, mint(unsigned(validation.TxTerms{Sender: addressOf(9_000), Fee: 1}, large, 0))[0])
}

// What a lost block gives back comes in as a whole before anything leaves for it: those that
// follow pay best, and wait until the last of it is back.
//
// R146: a rollback costs the pool what is worth least of all that is there then.
func TestWhatComesBackMakesRoomTogether(t *testing.T) {
	const dear = 5
	c := crowd()
	p := newPool(t, c)
	lost := []validation.CheckedTx{pay(1, 0, 1_000), pay(1, 1, 1_000), pay(1, 2, 1_000)}
	confirmed := mempool.Account{Nonce: uint64(len(lost)), Balance: rich.Balance}
	for i := range dear {
		_, err := p.Add(start, pay(1, uint64(len(lost)+i), 1_000_000), confirmed, stranger)
		require.NoError(t, err)
	}
	fill(t, p, mempool.Config{MaxCount: c.MaxCount - dear}, 10)

	p.Settle(start, []mempool.Touched{{Address: addressOf(1), Account: rich}}, nil)
	for i, tx := range lost {
		change, err := p.Return(start, tx, rich, stranger)
		require.NoError(t, err)
		require.Empty(t, change.Removed)
		_, err = p.Add(start, pay(2_000, 0, 1<<40), rich, stranger)
		require.ErrorIs(t, err, validation.PoolFull, "first things first")
		require.Equal(t, c.MaxCount+i+1, p.Len())
	}
	change, more := p.Trim(start)
	require.False(t, more)
	require.Len(t, change.Removed, len(lost))
	for _, r := range change.Removed {
		require.Equal(t, mempool.Evicted, r.Reason)
		require.Equal(t, uint64(10), r.Tx.Terms().Fee)
	}
	require.Len(t, p.BySender(addressOf(1)), len(lost)+dear)
	require.Zero(t, p.Stats().Waiting)
	require.Positive(t, p.Stats().FeeFloor, "others pay more")
	require.NoError(t, p.Audit())
}

// Whoever holds a lock on the pool can let others have it while very many leave.
func TestSweepsAreBounded(t *testing.T) {
	c := crowd()
	c.MaxSweep = 10
	p := newPool(t, c)
	for i := range c.MaxCount {
		add(t, p, mintOne(validation.TxTerms{Sender: addressOf(i % 5), Nonce: uint64(i / 5), ExpiresAt: millis(start) + 10_000}))
	}
	late := start.Add(time.Minute)
	require.Len(t, p.Settle(late, nil, nil).Removed, c.MaxSweep)
	for left := c.MaxCount - c.MaxSweep; left > 0; left -= c.MaxSweep {
		require.Equal(t, left, p.Len())
		require.NoError(t, p.Audit())
		require.Empty(t, p.Template(late, 1<<20, 10))
		change, more := p.Expire(late)
		require.Len(t, change.Removed, c.MaxSweep)
		require.True(t, more)
	}
	_, more := p.Expire(late)
	require.False(t, more)

	for i := range c.MaxCount + 3*c.MaxSweep/2 {
		_, err := p.Return(late, pay(i, 0, 1), rich, stranger)
		require.NoError(t, err)
	}
	for _, left := range []bool{true, false} {
		change, more := p.Trim(late)
		require.Equal(t, left, more)
		require.NotEmpty(t, change.Removed)
	}
	require.Equal(t, c.MaxCount, p.Len())
}
