package mempool_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// pay is a transaction of about 200 bytes that pays fee and spends nothing
// else.
func pay(sender int, nonce, fee uint64) validation.CheckedTx {
	return mintOne(validation.TxTerms{Sender: addressOf(sender), Nonce: nonce, Fee: fee, Spends: fee})
}

var rich = mempool.Account{Balance: 1 << 40}

func add(t require.TestingT, p *mempool.Pool, tx validation.CheckedTx) mempool.Change {
	change, err := p.Add(start, tx, rich, stranger)
	require.NoError(t, err)
	return change
}

// fill puts honest transactions of as many senders into the pool until it is
// full. They are numbered from 1000.
func fill(t require.TestingT, p *mempool.Pool, c mempool.Config, fee uint64) {
	for i := range c.MaxCount {
		add(t, p, pay(1000+i, 0, fee))
	}
}

func honest(p *mempool.Pool, c mempool.Config) (left int) {
	for i := range c.MaxCount {
		left += len(p.BySender(addressOf(1000 + i)))
	}
	return left
}

func crowd() mempool.Config {
	c := mempool.DefaultConfig()
	c.MaxCount, c.MaxPerSender, c.MaxWaiting, c.MaxNonceGap = 100, 50, 50, 50
	c.MinLife = 3 * time.Second
	return c
}

// The attacks below are the classes of DETER (Li et al., CCS 2021) and mpfuzz
// (arXiv 2312.02642): all of them make a pool give up transactions that pay,
// for ones that never will.

// TestFutureTransactionsDisplaceNobody: DETER-X, a full pool is offered
// transactions behind a gap at any price.
func TestFutureTransactionsDisplaceNobody(t *testing.T) {
	c := crowd()
	p := newPool(t, c)
	fill(t, p, c, 1_000)
	for i := range 1_000 {
		_, err := p.Add(start, pay(i%10, uint64(1+i/100), 1_000_000), rich, stranger)
		require.ErrorIs(t, err, validation.PoolFull)
	}
	require.Equal(t, c.MaxCount, honest(p, c))
}

// TestFutureTransactionsYieldToWhatPays: the other way round, a pool whose
// waiting places are taken at any price still takes what can be confirmed.
func TestFutureTransactionsYieldToWhatPays(t *testing.T) {
	c := crowd()
	p := newPool(t, c)
	for i := range c.MaxWaiting {
		add(t, p, pay(i, 1, 1_000_000))
	}
	_, err := p.Add(start, pay(c.MaxWaiting, 1, 1), rich, stranger)
	require.ErrorIs(t, err, validation.PoolFull, "the waiting places are taken")
	fill(t, p, c, 1)
	require.Equal(t, c.MaxCount, honest(p, c))
	require.Zero(t, p.Stats().Waiting)
}

// TestOverdraftsAreRefused: DETER-Z, a chain of transactions that only
// together spend more than the sender has.
//
// R18: a sender can pay for all that is pooled.
func TestOverdraftsAreRefused(t *testing.T) {
	p := newPool(t, crowd())
	account := mempool.Account{Balance: 2_500}
	for nonce, want := range []error{nil, nil, validation.Overdraft} {
		_, err := p.Add(start, pay(1, uint64(nonce), 1_000), account, stranger)
		require.ErrorIs(t, err, want)
	}
}

// TestAReplacementInvalidatesNobody: mpfuzz' replaced-to-overdraft. The one
// who filled the pool with a chain cannot turn it into nothing by replacing
// its first transaction with one that spends all.
func TestAReplacementInvalidatesNobody(t *testing.T) {
	p := newPool(t, crowd())
	account := mempool.Account{Balance: 50_000}
	for nonce := range uint64(50) {
		_, err := p.Add(start, pay(1, nonce, 1_000), account, stranger)
		require.NoError(t, err)
	}
	all := mintOne(validation.TxTerms{Sender: addressOf(1), Fee: 2_000, Spends: 50_000})
	change, err := p.Add(start, all, account, stranger)
	require.ErrorIs(t, err, validation.Overdraft)
	require.Empty(t, change.Removed)
	require.Equal(t, 50, p.Len())
}

// TestADearChildDoesNotLiftItsParent: mpfuzz' turning-evicted. A chain that
// begins at the floor displaces nobody, however much its last one offers, and
// leaves before those that pay more from the start.
func TestADearChildDoesNotLiftItsParent(t *testing.T) {
	c := crowd()
	p := newPool(t, c)
	add(t, p, pay(1, 0, 10))
	add(t, p, pay(1, 1, 1_000_000))
	for i := range c.MaxCount - 2 {
		add(t, p, pay(1000+i, 0, 1_000))
	}
	_, err := p.Add(start, pay(1, 2, 1_000_000), rich, stranger)
	require.ErrorIs(t, err, validation.PoolFull, "its floor is that of the first")

	for i, left := range []int{1, 0} { // from the end, nothing is stranded
		change := add(t, p, pay(2000+i, 0, 1_000))
		require.Len(t, change.Removed, 1)
		require.Equal(t, uint64(left), change.Removed[0].Tx.Terms().Nonce)
		require.Len(t, p.BySender(addressOf(1)), left)
	}
	_, err = p.Add(start, pay(2002, 0, 1_000), rich, stranger)
	require.ErrorIs(t, err, validation.PoolFull, "equals do not displace each other")
}

// TestEvictionOrphansNobody: mpfuzz' turning-future. Whoever is pushed out of a
// full pool leaves from the end of a chain, so that no transaction that could be
// confirmed is left behind a gap, and the attacker's own gain it no room either.
func TestEvictionOrphansNobody(t *testing.T) {
	c := crowd()
	p := newPool(t, c)
	for i := range 10 { // chains whose first is the cheapest, so that it seems the one to evict
		add(t, p, pay(i, 0, 100))
		for nonce := range uint64(9) {
			add(t, p, pay(i, 1+nonce, 500))
		}
	}
	for i := range c.MaxCount {
		add(t, p, pay(1000+i, 0, 1_000))
		require.Zero(t, p.Stats().Waiting)
	}
	require.Equal(t, c.MaxCount, honest(p, c))
}

// TestTheFloorMakesChurnDear: whoever pays a little more than the worst of a
// full pool pushes it out, but the next has to pay more than both, also when a
// block has made room. With time the price falls again.
func TestTheFloorMakesChurnDear(t *testing.T) {
	c := crowd()
	p := newPool(t, c)
	size := uint64(pay(1, 0, 0).Size())
	fill(t, p, c, 10*size)
	require.Zero(t, p.Stats().FeeFloor)
	for i := range uint64(50) {
		add(t, p, pay(int(i), 0, 11*size+i))
	}
	require.Equal(t, 11.0, p.Stats().FeeFloor, "more than what left")

	var block []mempool.Touched // takes half
	for i := range 50 {
		block = append(block, mempool.Touched{Address: addressOf(i), Account: mempool.Account{Nonce: 1}})
	}
	require.Len(t, p.Settle(start, block, nil).Removed, 50)
	_, err := p.Add(start, pay(500, 0, 11*size-1), rich, stranger)
	require.ErrorIs(t, err, validation.PoolFull)
	require.Equal(t, uint64(11), p.FeeRateToEnter())
	for _, nonce := range []uint64{0, 1, 1_000} {
		require.ErrorIs(t, p.Glance(start, pay(500, nonce, 11*size-1).Claim(), rich), validation.PoolFull)
		require.NoError(t, p.Glance(start, pay(500, nonce, 11*size).Claim(), rich))
	}
	require.Equal(t, uint64(11), p.Prices().Estimate(1 << 20)[0])
	add(t, p, pay(500, 0, 11*size))

	returned, err := p.Return(start, pay(501, 0, 1), rich, stranger)
	require.NoError(t, err, "what a lost block gives back comes in all the same")
	require.Len(t, returned.Added, 1)

	p.Expire(start.Add(c.FloorHalfLife))
	require.InDelta(t, 5.5, p.Stats().FeeFloor, 0.01)
	_, err = p.Add(start.Add(c.FloorHalfLife), pay(502, 0, 6*size), rich, stranger)
	require.NoError(t, err)
	p.Expire(start.Add(5 * c.FloorHalfLife))
	require.Zero(t, p.Stats().FeeFloor, "half a unit is nothing")
}

// TestTheFloorCannotLockThePool: mpfuzz' locking. The attacker fills the pool at
// a price that nobody else pays, and makes it all invalid with one transaction
// of each account in a block: what it leaves behind is an empty pool that takes
// everything.
func TestTheFloorCannotLockThePool(t *testing.T) {
	c := crowd()
	p := newPool(t, c)
	for i := range 3 {
		for nonce := range uint64(c.MaxPerSender) {
			_, err := p.Add(start, pay(i, nonce, 1_000_000+1_000*uint64(i)), rich, stranger)
			if i < 2 {
				require.NoError(t, err)
			}
		}
	}
	require.Greater(t, p.Stats().FeeFloor, 1_000.0)
	var drained []mempool.Touched
	for i := range 3 {
		drained = append(drained, mempool.Touched{Address: addressOf(i), Account: mempool.Account{Nonce: 1}})
	}
	p.Settle(start, drained, nil)
	fill(t, p, c, 1)
	require.Equal(t, c.MaxCount, honest(p, c))
}

// TestWaitingOnesSayNothingOfThePrice: nor can the floor be lifted by
// transactions that need never come true.
func TestWaitingOnesSayNothingOfThePrice(t *testing.T) {
	c := crowd()
	p := newPool(t, c)
	for i := range c.MaxWaiting {
		add(t, p, pay(i, 1, 1_000_000))
	}
	fill(t, p, c, 1_000) // pushes them all out
	require.Zero(t, p.Stats().FeeFloor)
}

// TestThePoolKeepsNobodysMemory: a transaction of a block holds the block.
func TestThePoolKeepsNobodysMemory(t *testing.T) {
	p := newPool(t, crowd())
	tx := pay(1, 0, 1_000)
	add(t, p, tx)
	kept, ok := p.Get(tx.ID())
	require.True(t, ok)
	require.Equal(t, tx, kept)
	require.NotSame(t, &tx.Tx().Bytes()[0], &kept.Tx().Bytes()[0])
}

// TestAFailedReplacementLeavesTheOldOne: a replacement so large that there is
// no room for it.
//
// R17: a replacement pays a tenth more.
func TestAFailedReplacementLeavesTheOldOne(t *testing.T) {
	c := mempool.DefaultConfig()
	c.MaxBytes = wire.MaxTx
	p := newPool(t, c)
	add(t, p, pay(1, 0, 1_000))
	add(t, p, pay(2, 0, 1_000)) // yields and comes back
	dear := validation.TxTerms{Sender: addressOf(3), Fee: 1 << 30, Spends: 1 << 30}
	add(t, p, mint(unsigned(dear, 100_000, 0))[0])

	big := validation.TxTerms{Sender: addressOf(1), Fee: 1 << 20, Spends: 1 << 20}
	change, err := p.Add(start, mint(unsigned(big, 100_000, 0))[0], rich, stranger)
	require.ErrorIs(t, err, validation.PoolFull)
	require.Empty(t, change.Removed)
	require.Equal(t, 3, p.Len())
	require.NoError(t, p.Audit())
}

func TestAReorganisationLosesNothing(t *testing.T) {
	p := newPool(t, crowd())
	first, second := pay(1, 0, 1_000), pay(1, 1, 1_000)
	add(t, p, first)
	add(t, p, second)
	confirmed := mempool.Account{Nonce: 1, Balance: rich.Balance - 1_000}
	touched := func(a mempool.Account) []mempool.Touched {
		return []mempool.Touched{{Address: addressOf(1), Account: a}}
	}
	change := p.Settle(start, touched(confirmed), []wire.TxID{first.ID()})
	require.Equal(t, mempool.Included, change.Removed[0].Reason)

	require.Empty(t, p.Settle(start, touched(rich), nil).Removed)
	require.Equal(t, 1, p.Stats().Waiting)
	add(t, p, first)
	require.Equal(t, []validation.CheckedTx{first, second}, p.Template(start, 1<<20, 10))
}

func TestWhatFollowsAnExpiredOneWaits(t *testing.T) {
	p := newPool(t, crowd())
	first := mintOne(validation.TxTerms{Sender: addressOf(1), Fee: 1, ExpiresAt: millis(start) + 5_000})
	add(t, p, first)
	add(t, p, pay(1, 1, 1_000))
	change, _ := p.Expire(start.Add(5 * time.Second))
	require.Empty(t, change.Removed, "the last moment counts")
	require.Empty(t, p.Template(start.Add(6*time.Second), 1<<20, 10), "not for a later block, nor what follows")
	change, _ = p.Expire(start.Add(6 * time.Second))
	require.Equal(t, []mempool.Removal{{ID: first.ID(), Tx: first, Reason: mempool.Expired}}, change.Removed)
	require.Equal(t, 1, p.Stats().Waiting)
	require.False(t, p.Has(first.ID()))
	_, err := p.Add(start.Add(6*time.Second), first, rich, stranger)
	require.ErrorIs(t, err, validation.Expired)
}

func TestEstimates(t *testing.T) {
	c := crowd()
	p := newPool(t, c)
	require.Zero(t, p.Prices().Estimate(0)[0])
	require.Zero(t, p.FeeRateToEnter())
	size := pay(0, 0, 1_000).Size()
	for i := range c.MaxCount {
		add(t, p, pay(1000+i, 0, uint64(size*(i+1)))) // rates 1 … 100
	}
	require.Zero(t, p.Prices().Estimate(size * c.MaxCount)[0])
	require.Equal(t, uint64(101), p.Prices().Estimate(size - 1)[0], "nothing goes ahead of the best")
	require.Equal(t, uint64(91), p.Prices().Estimate(10 * size)[0])
	require.Equal(t, []uint64{101, 91, 91, 11, 0}, p.Prices().Estimate(0, 10*size, 11*size-1, 90*size, 100*size))
	require.Equal(t, mempool.Stats{
		Count: 100, Bytes: 100 * size, Executable: 100, Senders: 100, MinFeeRate: 1, MaxFeeRate: 100,
	}, p.Stats())

	enter := p.FeeRateToEnter()
	require.Equal(t, uint64(2), enter)
	_, err := p.Add(start, pay(1, 0, uint64(size)*(enter-1)), rich, stranger)
	require.ErrorIs(t, err, validation.PoolFull)
	add(t, p, pay(1, 0, uint64(size)*enter))
}

// TestFeeRateToEnterSuffices: for the largest transaction too, by count and by
// bytes, with chains and waiting ones in the way.
func TestFeeRateToEnterSuffices(t *testing.T) {
	c := crowd()
	c.MaxBytes = wire.MaxTx + 10_000
	p := newPool(t, c)
	for i := 0; p.FeeRateToEnter() == 0; i++ {
		terms := validation.TxTerms{Sender: addressOf(i % 7), Nonce: uint64(i / 7), Fee: uint64(5_000 * (1 + i%5))}
		_, err := p.Add(start, mint(unsigned(terms, 3_000, 0))[0], rich, stranger)
		require.NoError(t, err)
	}
	const largest = wire.MaxTx - 100
	terms := validation.TxTerms{Sender: addressOf(99)}
	size := mint(unsigned(terms, largest, 0))[0].Size()
	terms.Fee = p.FeeRateToEnter() * uint64(size)
	add(t, p, mint(unsigned(terms, largest, 0))[0])
}

// TestAFreeTransactionIsTheWorst: a rate of 0 is a rate.
func TestAFreeTransactionIsTheWorst(t *testing.T) {
	p := newPool(t, crowd())
	add(t, p, pay(1, 0, 0))
	add(t, p, pay(2, 0, 1_000))
	require.Zero(t, p.Stats().MinFeeRate)
	require.Equal(t, uint64(2), p.Template(start, 1<<20, 10)[0].Terms().Fee/500)
}

func TestATemplateFillsSmallGaps(t *testing.T) {
	p := newPool(t, crowd())
	terms := func(sender int, fee uint64) validation.TxTerms {
		return validation.TxTerms{Sender: addressOf(sender), Fee: fee}
	}
	best := mint(unsigned(terms(1, 1<<30), 5_000, 0))[0]
	large := mint(unsigned(terms(2, 1<<29), 5_000, 0))[0]
	little := mint(unsigned(terms(3, 100), 300, 0))[0]
	for _, tx := range []validation.CheckedTx{little, large, best} {
		add(t, p, tx)
	}
	require.Equal(t, []validation.CheckedTx{best, little}, p.Template(start, 6_000, 10))
	require.Empty(t, p.Template(start, 6_000, 0))
	require.Empty(t, p.Template(start, 0, 10))
}

// TestATemplateGivesUp where thousands do not fit into the rest of the block.
func TestATemplateGivesUp(t *testing.T) {
	p := newPool(t, mempool.DefaultConfig())
	for i := range 1_000 {
		terms := validation.TxTerms{Sender: addressOf(i), Fee: 1 << 30}
		add(t, p, mint(unsigned(terms, 1_000, 0))[0])
	}
	add(t, p, pay(1_000, 0, 1))
	require.Empty(t, p.Template(start, 900, 10))
}

func TestReasonsHaveNames(t *testing.T) {
	seen := make(map[string]bool)
	for r := mempool.Included; r <= mempool.Displaced; r++ {
		seen[r.String()] = true
	}
	require.Len(t, seen, 6)
	for name := range seen {
		require.NotContains(t, name, "reason")
	}
	for _, none := range []mempool.Reason{0, mempool.Displaced + 1} {
		require.Equal(t, fmt.Sprintf("reason(%d)", none), none.String(), "else this test misses one")
	}
}

// TestWhatNoBlockCanHoldDisplacesNobody: DETER with the expiry in place of the gap. What
// expires before a block can take it risks nothing, whatever it offers.
//
// R134: what is about to expire does not enter.
func TestWhatNoBlockCanHoldDisplacesNobody(t *testing.T) {
	c := crowd()
	p := newPool(t, c)
	fill(t, p, c, 1_000)
	late := millis(start.Add(c.MinLife)) - 1
	for i := range c.MaxCount {
		dead := mintOne(validation.TxTerms{Sender: addressOf(i), Fee: 1_000_000, Spends: 1_000_000, ExpiresAt: late})
		require.ErrorIs(t, p.Glance(start, dead.Claim(), rich), validation.Expired)
		_, err := p.Add(start, dead, rich, stranger)
		require.ErrorIs(t, err, validation.Expired)
	}
	require.Equal(t, c.MaxCount, honest(p, c))
	require.Zero(t, p.Stats().FeeFloor)

	lives := mintOne(validation.TxTerms{Sender: addressOf(1), Fee: 1_000_000, Spends: 1_000_000, ExpiresAt: late + 1})
	add(t, p, lives)
	lost := mintOne(validation.TxTerms{Sender: addressOf(2), Fee: 1_000_000, Spends: 1_000_000, ExpiresAt: late})
	_, err := p.Return(start, lost, rich, stranger)
	require.NoError(t, err, "a block had taken it")
}

// TestWhatFollowsTheMortalDisplacesNobody: nor does what will be behind a gap as soon as one
// before it expires. Where there is room it is taken all the same, as a block may be quicker.
//
// R134: what follows what is about to expire displaces nobody.
func TestWhatFollowsTheMortalDisplacesNobody(t *testing.T) {
	c := crowd()
	p := newPool(t, c)
	ends := start.Add(c.MinLife)
	dear := func(nonce, expires uint64) validation.CheckedTx {
		return mintOne(validation.TxTerms{Sender: addressOf(1), Nonce: nonce, Fee: 1_000_000, Spends: 1_000_000, ExpiresAt: expires})
	}
	add(t, p, dear(0, millis(ends)))
	later := start.Add(time.Millisecond)
	_, err := p.Add(later, dear(1, 0), rich, stranger)
	require.NoError(t, err, "there is room")
	for i := range c.MaxCount - 2 {
		add(t, p, pay(1000+i, 0, 1_000))
	}
	for nonce := range uint64(10) {
		follows := dear(2+nonce, 0)
		require.ErrorIs(t, p.Glance(later, follows.Claim(), rich), validation.PoolFull)
		_, err := p.Add(later, follows, rich, stranger)
		require.ErrorIs(t, err, validation.PoolFull)
	}
	require.Equal(t, c.MaxCount-2, honest(p, c))

	p.Expire(ends.Add(time.Millisecond))
	require.Equal(t, 1, p.Stats().Waiting)
	_, err = p.Add(ends.Add(time.Millisecond), dear(0, 0), rich, stranger)
	require.NoError(t, err)
	for i := range uint64(3) {
		_, err = p.Add(ends.Add(time.Millisecond), dear(2+i, 0), rich, stranger)
		require.NoError(t, err, "nothing before it expires")
	}
	require.Equal(t, c.MaxCount-5, honest(p, c))
}

// mpfuzz' locking. Chains whose first expires without a block push out what pays less, at
// the risk of being taken, and are then all behind a gap: what they leave must not refuse
// what pays.
func TestOrphansDoNotKeepTheFloorUp(t *testing.T) {
	c := crowd()
	p := newPool(t, c)
	fill(t, p, c, 1_000)
	ends := start.Add(c.MinLife)
	for i := range 2 {
		for nonce := range uint64(c.MaxPerSender) {
			terms := validation.TxTerms{Sender: addressOf(i), Nonce: nonce, Fee: 1_000_000, Spends: 1_000_000}
			if nonce == 0 {
				terms.ExpiresAt = millis(ends)
			}
			add(t, p, mintOne(terms))
		}
	}
	after := ends.Add(time.Second)
	p.Expire(after)
	require.Zero(t, p.Stats().Executable, "nothing is left that a block could take")
	for i := range c.MaxCount {
		_, err := p.Add(after, pay(1000+i, 0, 1_000), rich, stranger)
		require.NoError(t, err, "an honest one, beside %+v", p.Stats())
	}
}

// What a lost block gives back comes before what follows it: where its sender can no more pay
// for both, the later one goes.
func TestReturnGoesBeforeWhatFollows(t *testing.T) {
	p := newPool(t, crowd())
	first, second := pay(1, 0, 1_000), pay(1, 1, 1_000)
	_, err := p.Add(start, second, mempool.Account{Nonce: 1, Balance: 1_000}, stranger)
	require.NoError(t, err)
	lost := mempool.Account{Nonce: 0, Balance: 1_500}
	require.Empty(t, p.Settle(start, []mempool.Touched{{Address: addressOf(1), Account: lost}}, nil).Removed)
	change, err := p.Return(start, first, lost, stranger)
	require.NoError(t, err)
	require.Equal(t, []wire.TxID{first.ID()}, change.Added)
	require.Len(t, change.Removed, 1)
	require.Equal(t, mempool.Invalid, change.Removed[0].Reason)
	require.Equal(t, []validation.CheckedTx{first}, p.Template(start, 1<<20, 10))
}

// A peer may send large ones that are refused all the time. None of them moves hundreds out and
// in again: what that allocates is the trace of it.
func TestARefusedGiantMovesNothing(t *testing.T) {
	p, giant := besieged(t)
	_, err := p.Add(start, giant, rich, stranger)
	require.ErrorIs(t, err, validation.PoolFull)
	allocated := testing.AllocsPerRun(10, func() { _, _ = p.Add(start, giant, rich, stranger) })
	require.Less(t, allocated, 100.0)
}
