package mempool_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// small has bounds that a few transactions reach.
func small() mempool.Config {
	return mempool.Config{
		MaxBytes: wire.MaxTx, MaxCount: 10, MaxPerSender: 4, MaxWaiting: 3, MaxNonceGap: 2, ReplacePercent: 10,
	}
}

// tight draws such bounds.
func tight(t *rapid.T) mempool.Config {
	c := small()
	c.MaxCount = rapid.IntRange(1, 10).Draw(t, "MaxCount")
	c.MaxPerSender = rapid.IntRange(1, 5).Draw(t, "MaxPerSender")
	c.MaxWaiting = rapid.IntRange(0, 4).Draw(t, "MaxWaiting")
	c.MaxNonceGap = rapid.IntRange(0, 4).Draw(t, "MaxNonceGap")
	return c
}

func newPool(t require.TestingT, c mempool.Config) *mempool.Pool {
	p, err := mempool.New(c)
	require.NoError(t, err)
	return p
}

const senders = 5

// world is a pool, its model, and the accounts that both are told of.
type world struct {
	now      time.Time
	pool     *mempool.Pool
	model    *naive
	accounts [senders]mempool.Account
	ever     []wire.TxID // everything that was ever in the pool
	trace    []mempool.Change
}

func newWorld(t require.TestingT, c mempool.Config) *world {
	w := &world{now: start, pool: newPool(t, c), model: newNaive(c)}
	for i := range w.accounts {
		w.accounts[i] = mempool.Account{Nonce: uint64(10 * i), Balance: 10_000}
	}
	return w
}

func (w *world) note(t *rapid.T, got, want mempool.Change) {
	require.Equal(t, want.Added, got.Added)
	require.Equal(t, len(want.Removed), len(got.Removed), "want %v, got %v", want.Removed, got.Removed)
	for i := range want.Removed {
		require.Equal(t, want.Removed[i], got.Removed[i])
	}
	w.trace = append(w.trace, got)
	w.ever = append(w.ever, got.Added...)
}

var (
	drawFee  = rapid.SampledFrom([]uint64{0, 100, 105, 110, 120, 200, 400, 1_000, 3_000})
	drawSize = rapid.SampledFrom([]int{200, 200, 210, 400, 20_000, 60_000})
)

func (w *world) add(t *rapid.T) {
	i := rapid.IntRange(0, senders-1).Draw(t, "sender")
	account := w.accounts[i]
	terms := validation.TxTerms{
		Sender: addressOf(i),
		Nonce:  account.Nonce + uint64(rapid.IntRange(0, 6).Draw(t, "nonce")),
		Fee:    drawFee.Draw(t, "fee"),
	}
	if stale := rapid.IntRange(0, 20).Draw(t, "stale") == 0; stale && terms.Nonce > 0 {
		terms.Nonce = account.Nonce - min(account.Nonce, 1)
	}
	terms.Spends = terms.Fee + uint64(rapid.SampledFrom([]int{0, 0, 10, 3_000}).Draw(t, "amount"))
	if expires := rapid.IntRange(-1, 6).Draw(t, "expires"); expires < 3 {
		terms.ExpiresAt = millis(w.now.Add(time.Duration(expires) * 10 * time.Second))
	}
	w.addTx(t, mint(unsigned(terms, drawSize.Draw(t, "size"), uint64(rapid.IntRange(0, 3).Draw(t, "salt"))))[0], account)
}

func (w *world) addTx(t *rapid.T, tx validation.CheckedTx, account mempool.Account) {
	got, err := w.pool.Add(w.now, tx, account)
	want, wantErr := w.model.Add(w.now, tx, account)
	require.Equal(t, validation.RuleBroken(wantErr), validation.RuleBroken(err))
	w.note(t, got, want)
}

// block confirms some transactions of a template, and perhaps strangers with
// the nonces of others.
func (w *world) block(t *rapid.T) {
	var included []wire.TxID
	touched := make(map[int]bool)
	for _, tx := range w.pool.Template(w.now, 1<<20, rapid.IntRange(0, 6).Draw(t, "txs")) {
		for i := range senders {
			if addressOf(i) != tx.Terms().Sender {
				continue
			}
			touched[i] = true
			w.accounts[i].Nonce++
			w.accounts[i].Balance -= tx.Terms().Spends
			if rapid.IntRange(0, 3).Draw(t, "stranger") > 0 {
				included = append(included, tx.ID())
			}
		}
	}
	w.settle(t, touched, included)
}

func (w *world) settle(t *rapid.T, touched map[int]bool, included []wire.TxID) {
	var accounts []mempool.Touched
	for i := range senders {
		if touched[i] {
			accounts = append(accounts, mempool.Touched{Address: addressOf(i), Account: w.accounts[i]})
		}
	}
	w.note(t, w.pool.Settle(w.now, accounts, included), w.model.Settle(w.now, accounts, included))
}

// income moves money and nonces as blocks of others, or of a lost fork, may.
func (w *world) income(t *rapid.T) {
	i := rapid.IntRange(0, senders-1).Draw(t, "account")
	w.accounts[i].Balance = uint64(rapid.IntRange(0, 12_000).Draw(t, "balance"))
	if back := rapid.IntRange(0, 4).Draw(t, "back"); uint64(back) <= w.accounts[i].Nonce && back < 3 {
		w.accounts[i].Nonce -= uint64(back)
	}
	if rapid.Bool().Draw(t, "told") { // else the next Add is the first to say so
		w.settle(t, map[int]bool{i: true}, nil)
	}
}

func (w *world) compare(t *rapid.T) {
	require.NoError(t, w.pool.Audit())

	want := make(map[wire.TxID]bool)
	for _, r := range w.model.all() {
		want[r.tx.ID()] = true
		require.Equal(t, r.executable, w.pool.Executable(r.tx.ID()))
	}
	got := make(map[wire.TxID]bool)
	for tx := range w.pool.All() {
		got[tx.ID()] = true
	}
	require.Equal(t, want, got)
	require.Equal(t, len(want), w.pool.Len())

	s := w.pool.Stats()
	require.Equal(t, w.model.waiting(), s.Waiting)
	require.Equal(t, len(want)-s.Waiting, s.Executable)
	require.Equal(t, sum(w.model.txs, validation.CheckedTx.Size), s.Bytes)
	require.Equal(t, len(w.model.senders()), s.Senders)

	for i := range senders {
		a := addressOf(i)
		require.Equal(t, w.model.chain(a), w.pool.BySender(a))
		for _, confirmed := range []uint64{w.accounts[i].Nonce, w.accounts[i].Nonce + 1} {
			require.Equal(t, w.model.NextNonce(a, confirmed), w.pool.NextNonce(a, confirmed))
		}
	}
	maxBytes := drawSize.Draw(t, "block") * 3
	maxCount := rapid.IntRange(0, 12).Draw(t, "count")
	require.Equal(t, w.model.Template(w.now, maxBytes, maxCount), w.pool.Template(w.now, maxBytes, maxCount))

	salt := wire.Salt{byte(len(w.trace))}
	var short []wire.ShortID
	for _, id := range w.ever {
		short = append(short, wire.ShortIDOf(salt, id)) // what was in twice makes duplicates
	}
	require.Equal(t, w.model.Match(salt, short), w.pool.Match(salt, short))
}

// TestAgainstNaive compares the pool, call by call, with a list that is sorted
// anew for every question.
func TestAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, tight(t))
		t.Repeat(map[string]func(*rapid.T){
			"add":    w.add,
			"more":   w.add,
			"again":  w.add,
			"block":  w.block,
			"income": w.income,
			"known": func(t *rapid.T) {
				if len(w.model.txs) > 0 {
					tx := rapid.SampledFrom(w.model.txs).Draw(t, "known")
					w.addTx(t, tx, w.model.accounts[tx.Terms().Sender])
				}
			},
			"untold": func(t *rapid.T) { // included, yet its sender is not among the accounts
				if len(w.model.txs) > 0 {
					w.settle(t, nil, []wire.TxID{rapid.SampledFrom(w.model.txs).Draw(t, "tx").ID(), {1}})
				}
			},
			"wait": func(t *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(0, 15).Draw(t, "seconds")) * time.Second)
				w.note(t, w.pool.Expire(w.now), w.model.Expire(w.now))
			},
			"": w.compare,
		})
	})
}

// TestWhatEntersLeavesOnce follows the changes alone, as a store of events
// would.
func TestWhatEntersLeavesOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, tight(t))
		steps := []func(*rapid.T){w.add, w.add, w.add, w.block, w.income}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			rapid.SampledFrom(steps).Draw(t, "step")(t)
			w.now = w.now.Add(time.Second)
		}
		inside := make(map[wire.TxID]bool)
		for _, change := range w.trace {
			for _, r := range change.Removed {
				require.True(t, inside[r.ID], "it was not in")
				require.Equal(t, r.ID, r.Tx.ID())
				require.Equal(t, r.Reason == mempool.Replaced || r.Reason == mempool.Evicted, r.By != wire.TxID{})
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
		w := newWorld(t, tight(t))
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			before := w.model.all()
			w.add(t)
			for _, r := range w.trace[len(w.trace)-1].Removed {
				if r.Reason != mempool.Evicted {
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
					require.True(t, victim.floor < by.floor || by.executable && !victim.executable)
				}
				for _, left := range w.pool.BySender(theirs.Sender) {
					require.Less(t, left.Terms().Nonce, theirs.Nonce, "stranded")
				}
			}
		}
	})
}

// TestSameCallsSameTrace runs one sequence of calls on two pools; Go gives
// their maps different orders.
func TestSameCallsSameTrace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, twin := newWorld(t, small()), newPool(t, small())
		for range 60 {
			i := rapid.IntRange(0, senders-1).Draw(t, "sender")
			terms := validation.TxTerms{
				Sender: addressOf(i), Nonce: w.accounts[i].Nonce + uint64(rapid.IntRange(0, 4).Draw(t, "nonce")),
				Fee: drawFee.Draw(t, "fee"), ExpiresAt: millis(start) + uint64(rapid.IntRange(0, 50_000).Draw(t, "expires")),
			}
			w.now = w.now.Add(time.Second)
			tx := mint(unsigned(terms, drawSize.Draw(t, "size"), 0))[0]
			one, err := w.pool.Add(w.now, tx, w.accounts[i])
			two, twinErr := twin.Add(w.now, tx, w.accounts[i])
			require.Equal(t, err, twinErr)
			require.Equal(t, one, two)
			require.Equal(t, w.pool.Expire(w.now), twin.Expire(w.now))
		}
		require.Equal(t, slices.Collect(w.pool.All()), slices.Collect(twin.All()))
	})
}

// TestContentDecidesNotHistory adds one set of transactions in two orders to
// pools that have room for all: templates and orders are the same.
func TestContentDecidesNotHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var txs []validation.CheckedTx
		for i := range senders {
			for nonce := range rapid.IntRange(0, 4).Draw(t, "chain") {
				terms := validation.TxTerms{Sender: addressOf(i), Nonce: uint64(nonce), Fee: drawFee.Draw(t, "fee")}
				txs = append(txs, mint(unsigned(terms, 200, 0))...)
			}
		}
		one, two := newPool(t, mempool.DefaultConfig()), newPool(t, mempool.DefaultConfig())
		for _, tx := range txs {
			_, err := one.Add(start, tx, mempool.Account{})
			require.NoError(t, err)
		}
		for _, tx := range rapid.Permutation(txs).Draw(t, "order") {
			_, err := two.Add(start, tx, mempool.Account{})
			require.NoError(t, err)
		}
		require.Equal(t, one.Template(start, 1<<20, 100), two.Template(start, 1<<20, 100))
		require.Equal(t, slices.Collect(one.All()), slices.Collect(two.All()))
		require.Equal(t, one.Stats(), two.Stats())
	})
}

func TestConfigIsRefusedWithEveryReason(t *testing.T) {
	_, err := mempool.New(mempool.Config{MaxWaiting: -1, MaxNonceGap: -1})
	for _, field := range []string{"MaxBytes", "MaxCount", "MaxPerSender", "MaxWaiting", "MaxNonceGap", "ReplacePercent"} {
		require.ErrorContains(t, err, field)
	}
}

func TestTheZeroTransactionIsRefused(t *testing.T) {
	_, err := newPool(t, small()).Add(start, validation.CheckedTx{}, mempool.Account{})
	require.Error(t, err)
	require.Equal(t, validation.Ignore, validation.Judge(err))
}
