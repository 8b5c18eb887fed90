package mempool_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/internal/cases"
	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// small has bounds that a few transactions reach.
func small() mempool.Config {
	return mempool.Config{
		MaxBytes: wire.MaxTx, MaxCount: 10, MaxPerSender: 4, MaxWaiting: 3, MaxWaitingBytes: wire.MaxTx, MaxNonceGap: 2,
		ReplacePercent: 10, MaxSweep: 100, FloorHalfLife: time.Second,
	}
}

// tight draws such bounds.
func tight(rng *rand.Rand) mempool.Config {
	c := small()
	c.MaxCount = 1 + rng.IntN(10)
	c.MaxPerSender = 1 + rng.IntN(5)
	c.MaxWaiting = rng.IntN(7)
	c.MaxBytes += rng.IntN(2) * wire.MaxTx // so that what waits may be bounded more narrowly
	c.MaxSweep = pick(rng, 1, 2, 100)
	c.MaxNonceGap = rng.IntN(5)
	c.MinLife = []time.Duration{0, 9 * time.Second, 20 * time.Second}[rng.IntN(3)]
	c.FloorHalfLife = []time.Duration{time.Second, 10 * time.Second, 100 * time.Second}[rng.IntN(3)]
	return c
}

// chance is what a test draws from. Rapid, which prints how to repeat it,
// chooses only its seed: its own draws prefer small numbers so much that pools
// would hardly ever be full.
func chance(t *rapid.T) *rand.Rand {
	return rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), rapid.Uint64().Draw(t, "and")))
}

func newPool(t require.TestingT, c mempool.Config) *mempool.Pool {
	p, err := mempool.New(c)
	require.NoError(t, err)
	return p
}

const senders = 5

// stranger is a peer, and the sources of transactions.
const stranger mempool.Source = "stranger"

var sources = []mempool.Source{mempool.Own, stranger, "a", "b"}

var addresses = [senders]wire.Address{addressOf(0), addressOf(1), addressOf(2), addressOf(3), addressOf(4)}

// world is a pool, its model, and the accounts that both are told of.
type world struct {
	t        require.TestingT
	rng      *rand.Rand
	now      time.Time
	pool     *mempool.Pool
	model    *naive
	accounts [senders]mempool.Account
	left     []validation.CheckedTx // what blocks took
	ever     []wire.TxID            // everything that was ever in the pool
	trace    []mempool.Change
}

func newWorld(t require.TestingT, rng *rand.Rand, c mempool.Config) *world {
	w := &world{t: t, rng: rng, now: start, pool: newPool(t, c), model: newNaive(c)}
	for i := range w.accounts {
		w.accounts[i] = mempool.Account{Nonce: uint64(10 * i), Balance: 10_000}
	}
	return w
}

func (w *world) oneIn(n int) bool { return w.rng.IntN(n) == 0 }

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// is has require look only at what differs: it walks the stack first.
func is[T comparable](t require.TestingT, want, got T, about ...any) {
	if want != got {
		require.Equal(t, want, got, about...)
	}
}

func (w *world) note(got, want mempool.Change) {
	if !slices.Equal(want.Added, got.Added) {
		require.Equal(w.t, want.Added, got.Added)
	}
	is(w.t, len(want.Removed), len(got.Removed), "want %v, got %v", want.Removed, got.Removed)
	for i := range want.Removed {
		is(w.t, brief(want.Removed[i]), brief(got.Removed[i]))
	}
	w.trace = append(w.trace, got)
	w.ever = append(w.ever, got.Added...)
}

// brief leaves out what an id says as well.
func brief(r mempool.Removal) mempool.Removal {
	if r.Tx.ID() == r.ID {
		r.Tx = validation.CheckedTx{}
	}
	return r
}

// same compares by id, as looking into transactions takes long.
func same(t require.TestingT, want, got []validation.CheckedTx) {
	if !slices.EqualFunc(want, got, func(a, b validation.CheckedTx) bool { return a.ID() == b.ID() }) {
		require.Equal(t, want, got)
	}
}

func byID(txs []validation.CheckedTx) []validation.CheckedTx {
	slices.SortFunc(txs, func(a, b validation.CheckedTx) int { return bytes.Compare(idOf(a), idOf(b)) })
	return txs
}

func idOf(tx validation.CheckedTx) []byte {
	id := tx.ID()
	return id[:]
}

func (w *world) drawFee() uint64 {
	return pick[uint64](w.rng, 0, 100, 105, 110, 120, 200, 400, 1_000, 3_000)
}

func (w *world) drawSize() int {
	return pick(w.rng, 200, 200, 200, 200, 200, 200, 210, 400, 30_000, 60_000)
}

func (w *world) add() {
	i := w.rng.IntN(senders)
	account := w.accounts[i]
	terms := validation.TxTerms{Sender: addresses[i], Nonce: account.Nonce, Fee: w.drawFee()}
	switch {
	case w.oneIn(2):
		terms.Nonce = w.model.NextNonce(addresses[i], account.Nonce)
	case w.oneIn(20):
		terms.Nonce -= min(account.Nonce, 1)
	default:
		terms.Nonce += w.rng.Uint64N(6)
	}
	terms.Spends = terms.Fee + pick[uint64](w.rng, 0, 0, 10, 3_000)
	if w.oneIn(3) {
		terms.ExpiresAt = millis(w.now.Add(time.Duration(w.rng.IntN(6)-1) * 10 * time.Second))
	}
	w.addTx(mint(unsigned(terms, w.drawSize(), w.rng.Uint64N(4)))[0], account)
}

func (w *world) addTx(tx validation.CheckedTx, account mempool.Account) {
	settled := w.model.accounts[tx.Terms().Sender] == account
	glance := w.pool.Glance(w.now, tx.Claim(), account)
	last, displaces := w.pool.Displaces(tx.Claim())
	from := pick(w.rng, sources...)
	got, err := w.pool.Add(w.now, tx, account, from)
	want, wantErr := w.model.Add(w.now, tx, account, from)
	is(w.t, validation.RuleBroken(wantErr), validation.RuleBroken(err))
	switch {
	case glance != nil && validation.RuleBroken(err) == "nonce_too_far":
		require.ErrorIs(w.t, glance, validation.PoolFull, "it need not wait for its time")
	case glance != nil:
		require.Equal(w.t, validation.RuleBroken(err), validation.RuleBroken(glance), "a glance refuses nothing that would enter")
	case err != nil && settled: // what making room finds out, and what may be of use all the same
		require.Contains(w.t, []string{"pool_full", "nonce_too_far", "already_known"}, validation.RuleBroken(err))
	}
	if err == nil && settled {
		left := slices.ContainsFunc(got.Removed, func(r mempool.Removal) bool {
			return r.Reason == mempool.Displaced && r.ID == last.ID()
		})
		is(w.t, displaces, left)
	}
	w.note(got, want)
}

// known adds what is in already.
func (w *world) known() {
	if len(w.model.txs) > 0 {
		tx := pick(w.rng, w.model.txs...)
		w.addTx(tx, w.model.accounts[tx.Terms().Sender])
	}
}

// block confirms some transactions of a template, and perhaps strangers with
// the nonces of others.
func (w *world) block() {
	var included []wire.TxID
	touched := make(map[int]bool)
	for _, tx := range w.pool.Template(w.now, 1<<20, w.rng.IntN(7)) {
		i := slices.Index(addresses[:], tx.Terms().Sender)
		touched[i] = true
		w.accounts[i].Nonce++
		w.accounts[i].Balance -= tx.Terms().Spends
		if !w.oneIn(4) {
			included = append(included, tx.ID())
			w.left = append(w.left, tx)
		}
	}
	w.settle(touched, included)
}

func (w *world) settle(touched map[int]bool, included []wire.TxID) {
	var accounts []mempool.Touched
	for i := range senders {
		if touched[i] {
			accounts = append(accounts, mempool.Touched{Address: addresses[i], Account: w.accounts[i]})
		}
	}
	w.note(w.pool.Settle(w.now, accounts, included), w.model.Settle(w.now, accounts, included))
}

// untold has a block include what its accounts do not say.
func (w *world) untold() {
	if len(w.model.txs) > 0 {
		w.settle(nil, []wire.TxID{pick(w.rng, w.model.txs...).ID(), {1}})
	}
}

// reorganise takes blocks back: nonces and money return, or go, and so do
// transactions.
func (w *world) reorganise() {
	touched := make(map[int]bool)
	lost := w.left[max(0, len(w.left)-1-w.rng.IntN(6)):]
	w.left = w.left[:len(w.left)-len(lost)]
	for _, tx := range slices.Backward(lost) {
		i := slices.Index(addresses[:], tx.Terms().Sender)
		touched[i] = true
		w.accounts[i].Nonce = tx.Terms().Nonce
		w.accounts[i].Balance += tx.Terms().Spends
		if w.oneIn(3) { // what was paid to it is taken back, too
			w.accounts[i].Balance = w.rng.Uint64N(w.accounts[i].Balance + 1)
		}
	}
	w.settle(touched, nil)
	for _, tx := range lost {
		if w.oneIn(10) {
			w.add() // by somebody who is let in between
		}
		account := w.accounts[slices.Index(addresses[:], tx.Terms().Sender)]
		from := pick(w.rng, sources...)
		got, err := w.pool.Return(w.now, tx, account, from)
		want, wantErr := w.model.Return(w.now, tx, account, from)
		is(w.t, validation.RuleBroken(wantErr), validation.RuleBroken(err))
		w.note(got, want)
	}
	for more := true; more; {
		got, goes := w.pool.Trim(w.now)
		want, wantGoes := w.model.Trim(w.now)
		is(w.t, wantGoes, goes)
		w.note(got, want)
		more = goes
	}
}

// adopt has the node answer for what somebody brought.
func (w *world) adopt() {
	id := wire.TxID{1}
	if len(w.model.txs) > 0 && !w.oneIn(10) {
		id = pick(w.rng, w.model.txs...).ID()
	}
	w.pool.Adopt(id)
	w.model.Adopt(id)
}

// income moves money and nonces as blocks of others may.
func (w *world) income() {
	i := w.rng.IntN(senders)
	w.accounts[i].Balance = w.rng.Uint64N(12_000)
	if w.oneIn(2) {
		w.accounts[i].Nonce -= min(w.accounts[i].Nonce, w.rng.Uint64N(3))
	}
	if w.oneIn(2) { // else the next Add is the first to say so
		w.settle(map[int]bool{i: true}, nil)
	}
}

func (w *world) wait() {
	w.now = w.now.Add(time.Duration(w.rng.IntN(15_000)) * time.Millisecond)
	got, more := w.pool.Expire(w.now)
	want, wantMore := w.model.Expire(w.now)
	is(w.t, wantMore, more)
	w.note(got, want)
}

// step does something, mostly what a peer would have it do.
func (w *world) step() {
	pick(w.rng,
		w.add, w.add, w.add, w.add, w.add, w.add, w.add, w.add, w.add, w.add, w.add, w.add,
		w.known, w.block, w.income, w.untold, w.reorganise, w.wait, w.adopt)()
}

func (w *world) compare() {
	t := w.t
	if err := w.pool.Audit(); err != nil {
		require.NoError(t, err)
	}

	want := make(map[wire.TxID]bool)
	for _, r := range w.model.all() {
		want[r.tx.ID()] = true
		is(t, r.executable, w.pool.Executable(r.tx.ID()))
	}
	got := make(map[wire.TxID]bool)
	for tx := range w.pool.All() {
		got[tx.ID()] = true
	}
	if !maps.Equal(want, got) {
		require.Equal(t, want, got)
	}
	is(t, len(want), w.pool.Len())

	s := w.pool.Stats()
	is(t, w.model.floor, s.FeeFloor)
	is(t, w.model.waiting(), s.Waiting)
	is(t, len(want)-s.Waiting, s.Executable)
	is(t, sum(w.model.txs, validation.CheckedTx.Size), s.Bytes)
	is(t, len(w.model.senders()), s.Senders)

	for i := range senders {
		a := addresses[i]
		same(t, w.model.chain(a), w.pool.BySender(a))
		for _, confirmed := range []uint64{w.accounts[i].Nonce, w.accounts[i].Nonce + 1} {
			is(t, w.model.NextNonce(a, confirmed), w.pool.NextNonce(a, confirmed))
		}
	}
	maxBytes, maxCount := w.drawSize()*3, w.rng.IntN(13)
	same(t, w.model.Template(w.now, maxBytes, maxCount), w.pool.Template(w.now, maxBytes, maxCount))

	shares := []int{0, s.Bytes / 10, s.Bytes / 2, s.Bytes}
	if want, got := w.model.Estimate(shares...), w.pool.Prices().Estimate(shares...); !slices.Equal(want, got) {
		require.Equal(t, want, got)
	}

	salt := wire.Salt{byte(len(w.trace))}
	var short []wire.ShortID
	for _, id := range w.ever {
		short = append(short, wire.ShortIDOf(salt, id)) // what was in twice makes duplicates
	}
	same(t, byID(w.model.Match(salt, short)), byID(slices.Collect(w.pool.Match(salt, short))))
}

// TestAgainstNaive compares the pool, call by call, with a list that is sorted
// anew for every question: in 10,000 sequences of calls, or as many as
// -rapid.checks says, if that is more.
func TestAgainstNaive(t *testing.T) {
	if !testing.Short() {
		cases.AtLeast(t, 10_000)
	}
	rapid.Check(t, func(t *rapid.T) {
		rng := chance(t)
		w := newWorld(t, rng, tight(rng))
		for range 1 + rng.IntN(60) {
			w.step()
			w.compare()
		}
	})
}

// TestWhatEntersLeavesOnce follows the changes alone, as a store of events
// would.
func TestWhatEntersLeavesOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := chance(t)
		w := newWorld(t, rng, tight(rng))
		for range 1 + rng.IntN(60) {
			w.step()
			w.now = w.now.Add(time.Second)
		}
		inside := make(map[wire.TxID]bool)
		for _, change := range w.trace {
			for _, r := range change.Removed {
				require.True(t, inside[r.ID], "it was not in")
				require.Equal(t, r.ID, r.Tx.ID())
				by := slices.Contains([]mempool.Reason{mempool.Replaced, mempool.Evicted, mempool.Displaced}, r.Reason)
				require.Equal(t, by && len(change.Added) > 0, r.By != wire.TxID{}, "what is trimmed leaves for nobody")
				delete(inside, r.ID)
			}
			for _, id := range change.Added {
				require.False(t, inside[id], "it was in")
				inside[id] = true
			}
		}
		require.Len(t, inside, w.pool.Len())
	})
}

// TestEvictionIsJust looks at each eviction alone: nobody who pays as well
// leaves for a newcomer, nobody who could be confirmed leaves for one who could
// not, and nobody is stranded.
func TestEvictionIsJust(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := chance(t)
		w := newWorld(t, rng, tight(rng))
		for range 1 + rng.IntN(60) {
			before, took := w.model.all(), w.model.takes()
			w.add()
			for _, b := range before {
				if after, in := w.model.find(b.tx.ID()); in && b.executable {
					require.True(t, after.executable, "orphaned")
				}
			}
			for _, r := range w.trace[len(w.trace)-1].Removed {
				if r.Reason != mempool.Evicted && r.Reason != mempool.Displaced {
					continue
				}
				i := slices.IndexFunc(before, func(b ranked) bool { return b.tx.ID() == r.ID })
				victim := before[i]
				by, in := w.model.find(r.By)
				require.True(t, in)
				mine, theirs := by.tx.Terms(), victim.tx.Terms()
				if mine.Sender == theirs.Sender {
					require.Greater(t, theirs.Nonce, mine.Nonce)
				} else {
					require.True(t, by.executable || !victim.executable)
					taker, loser := w.model.sources[r.By], w.model.sources[r.ID]
					switch {
					case victim.executable:
						require.Less(t, victim.floor, by.floor)
					case !by.executable:
						require.NotEqual(t, mempool.Own, loser)
						more := took[loser].places > took[taker].places || took[loser].bytes > took[taker].bytes
						require.True(t, more || loser == taker || taker == mempool.Own, "it took less")
					}
					for _, tx := range w.model.chain(mine.Sender) {
						soon := tx.Terms().ExpiredAt(millis(w.now.Add(w.model.config.MinLife)))
						require.False(t, soon && tx.Terms().Nonce <= mine.Nonce, "it may be behind a gap before a block can take it")
					}
				}
				for _, left := range w.pool.BySender(theirs.Sender) {
					if victim.executable || w.model.sources[left.ID()] == w.model.sources[r.ID] {
						require.Less(t, left.Terms().Nonce, theirs.Nonce, "stranded")
					}
				}
			}
		}
	})
}

// TestSameCallsSameTrace runs one sequence of calls on two pools; Go gives
// their maps different orders.
func TestSameCallsSameTrace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := chance(t)
		one, two := newPool(t, small()), newPool(t, small())
		now := start
		for range 60 {
			terms := validation.TxTerms{
				Sender: pick(rng, addresses[:]...), Nonce: rng.Uint64N(5), Fee: rng.Uint64N(3_000),
				ExpiresAt: millis(start) + rng.Uint64N(50_000),
			}
			now = now.Add(time.Second)
			tx := mint(unsigned(terms, 200, 0))[0]
			change, err := one.Add(now, tx, rich, stranger)
			twin, twinErr := two.Add(now, tx, rich, stranger)
			require.Equal(t, err, twinErr)
			require.Equal(t, change, twin)
			expired, _ := one.Expire(now)
			expiredToo, _ := two.Expire(now)
			require.Equal(t, expired, expiredToo)
		}
		require.Equal(t, slices.Collect(one.All()), slices.Collect(two.All()))
	})
}

// TestContentDecidesNotHistory adds one set of transactions in two orders to
// pools that have room for all: templates and orders are the same.
func TestContentDecidesNotHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := chance(t)
		var txs []validation.CheckedTx
		for i := range senders {
			for nonce := range rng.IntN(5) {
				terms := validation.TxTerms{Sender: addresses[i], Nonce: uint64(nonce), Fee: rng.Uint64N(5) * 100}
				txs = append(txs, mint(unsigned(terms, 200, 0))...)
			}
		}
		one, two := newPool(t, mempool.DefaultConfig()), newPool(t, mempool.DefaultConfig())
		for _, tx := range txs {
			_, err := one.Add(start, tx, mempool.Account{}, stranger)
			require.NoError(t, err)
		}
		rng.Shuffle(len(txs), func(i, j int) { txs[i], txs[j] = txs[j], txs[i] })
		for _, tx := range txs {
			_, err := two.Add(start, tx, mempool.Account{}, stranger)
			require.NoError(t, err)
		}
		require.Equal(t, one.Template(start, 1<<20, 100), two.Template(start, 1<<20, 100))
		require.Equal(t, slices.Collect(one.All()), slices.Collect(two.All()))
		require.Equal(t, one.Stats(), two.Stats())
	})
}

func TestConfigIsRefusedWithEveryReason(t *testing.T) {
	_, err := mempool.New(mempool.Config{MaxWaiting: -1, MaxNonceGap: -1, MinLife: -1})
	for _, field := range []string{"MaxBytes", "MaxCount", "MaxPerSender", "MaxWaiting", "MaxWaitingBytes", "MaxSweep", "MaxNonceGap", "MinLife", "ReplacePercent", "FloorHalfLife"} {
		require.ErrorContains(t, err, field)
	}
}

func TestTheZeroTransactionIsRefused(t *testing.T) {
	_, err := newPool(t, small()).Add(start, validation.CheckedTx{}, mempool.Account{}, stranger)
	require.Error(t, err)
	require.Equal(t, validation.Ignore, validation.Judge(err))
}
