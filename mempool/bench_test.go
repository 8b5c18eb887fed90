package mempool_test

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

const pooled = 100_000

// What the pool promises with that many. Fewer calls say nothing about it.
const (
	leastRate      = 200_000 // added, each evicting another, in a second
	leastCalls     = 20_000
	mostTemplate   = 10 * time.Millisecond // for 4,000 transactions
	leastTemplates = 20
)

// cpu is the processor time of this process so far. The clock counts what else the machine
// does; this counts what the garbage collector does beside the benchmark. A promise is broken
// where both say so.
func cpu() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// crowdOf mints n transactions of 250 bytes, each of a sender of its own (the
// worst case for memory), whose fees per byte are from, from+1 … in no order.
func crowdOf(n, first, from int) []validation.CheckedTx {
	raw := make([]*wire.Transaction, n)
	for i := range raw {
		raw[i] = unsigned(validation.TxTerms{
			Sender: addressOf(first + i), Fee: uint64(250 * (from + i*7919%n)), ExpiresAt: millis(start) + uint64(i),
		}, 250, 0)
	}
	return mint(raw...)
}

// filled returns a pool of pooled transactions that has no room for more.
func filled(b *testing.B, txs []validation.CheckedTx) *mempool.Pool {
	b.Helper()
	c := mempool.DefaultConfig()
	c.MaxCount = len(txs)
	p := newPool(b, c)
	for _, tx := range txs {
		if _, err := p.Add(start, tx, rich, stranger); err != nil {
			b.Fatal(err)
		}
	}
	return p
}

// besieged returns a pool that is full of small transactions, and a large one that pays more
// than hundreds of them, which are not quite enough to make room for it.
func besieged(t require.TestingT) (*mempool.Pool, validation.CheckedTx) {
	const small, cheap, size = 250, 10, 131_000
	giant := mint(unsigned(validation.TxTerms{Sender: addressOf(1 << 22), Fee: 3 * cheap / 2 * size}, size, 0))[0]
	c := mempool.DefaultConfig()
	c.MaxBytes = 5_000 * small
	p := newPool(t, c)
	for i := 0; p.Bytes()+small < c.MaxBytes; i++ {
		rate := uint64(cheap)
		if i > giant.Size()/small-4 {
			rate = 2 * cheap
		}
		_, err := p.Add(start, mint(unsigned(validation.TxTerms{Sender: addressOf(i), Fee: rate * small}, small, 0))[0], rich, stranger)
		require.NoError(t, err)
	}
	return p, giant
}

func BenchmarkPool(b *testing.B) {
	txs := crowdOf(pooled, 0, 100)
	b.Run("AddEvict", func(b *testing.B) {
		better := crowdOf(pooled, pooled, 1_000+pooled)
		p, i := filled(b, txs), 0
		begun := cpu()
		for b.Loop() {
			if i == len(better) {
				b.StopTimer()
				before := cpu()
				p, i = filled(b, txs), 0
				begun += cpu() - before
				b.StartTimer()
			}
			change, err := p.Add(start, better[i], rich, stranger)
			if err != nil || len(change.Removed) != 1 {
				b.Fatal(change, err)
			}
			i++
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
		rate := float64(b.N) / min(b.Elapsed(), cpu()-begun).Seconds()
		if b.N >= leastCalls && rate < leastRate {
			b.Errorf("added and evicted %.0f a second, want %d", rate, leastRate)
		}
	})
	b.Run("Refuse", func(b *testing.B) {
		p, cheap := filled(b, txs), pay(1<<20, 0, 1)
		for b.Loop() {
			_, _ = p.Add(start, cheap, rich, stranger)
		}
	})
	b.Run("RefuseGiant", func(b *testing.B) {
		p, giant := besieged(b)
		for b.Loop() {
			_, _ = p.Add(start, giant, rich, stranger)
		}
	})
	b.Run("Template4000", func(b *testing.B) {
		p := filled(b, txs)
		begun := cpu()
		for b.Loop() {
			if n := len(p.Template(start, 4<<20, 4_000)); n != 4_000 {
				b.Fatal(n)
			}
		}
		b.ReportMetric(b.Elapsed().Seconds()*1_000/float64(b.N), "ms/template")
		each := min(b.Elapsed(), cpu()-begun) / time.Duration(b.N)
		if b.N >= leastTemplates && each > mostTemplate {
			b.Errorf("a template took %v, want %v", each, mostTemplate)
		}
	})
	b.Run("Prices", func(b *testing.B) {
		p := filled(b, txs)
		shares := []int{p.Bytes() / 10, p.Bytes() / 2, p.Bytes() * 9 / 10}
		for b.Loop() {
			prices := p.Prices()
			b.StopTimer() // no lock is needed from here on
			if rates := prices.Estimate(shares...); rates[0] < rates[2] {
				b.Fatal(rates)
			}
			b.StartTimer()
		}
	})
	b.Run("List", func(b *testing.B) {
		p := filled(b, txs)
		for b.Loop() {
			_ = p.List()
		}
	})
	b.Run("Match4200", func(b *testing.B) {
		p := filled(b, txs)
		var salt wire.Salt
		var want []wire.ShortID
		for tx := range p.All() {
			if want = append(want, wire.ShortIDOf(salt, tx.ID())); len(want) == 4_200 {
				break
			}
		}
		for b.Loop() {
			for range p.Match(salt, want) {
			}
		}
	})
	b.Run("SettleBlock4000", func(b *testing.B) {
		p := filled(b, txs)
		for b.Loop() {
			b.StopTimer()
			block := p.Template(start, 4<<20, 4_000)
			var ids []wire.TxID
			var touched []mempool.Touched
			for _, tx := range block {
				ids = append(ids, tx.ID())
				touched = append(touched, mempool.Touched{Address: tx.Terms().Sender, Account: mempool.Account{Nonce: 1}})
			}
			b.StartTimer()
			if n := len(p.Settle(start, touched, ids).Removed); n != 4_000 {
				b.Fatal(n)
			}
			b.StopTimer()
			for _, tx := range block {
				add(b, p, tx)
			}
			b.StartTimer()
		}
	})
	b.Run("Overhead", func(b *testing.B) {
		var each float64
		for b.Loop() {
			each = overhead(b, txs)
		}
		b.ReportMetric(each, "B/tx")
	})
}

// overhead returns how many bytes of memory a pool of txs takes for each,
// beyond the bytes of the transaction as carried. All else counts, also what
// package wire needs to hold a transaction.
func overhead(t require.TestingT, txs []validation.CheckedTx) float64 {
	before := heap()
	p := newPool(t, mempool.DefaultConfig())
	for _, tx := range txs {
		_, err := p.Add(start, tx, rich, stranger)
		require.NoError(t, err)
	}
	used := heap() - before - int64(p.Bytes())
	runtime.KeepAlive(txs)
	return float64(used) / float64(p.Len())
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestOverhead holds the pool to what its configuration promises.
func TestOverhead(t *testing.T) {
	if testing.Short() {
		t.Skip("measures memory")
	}
	each := overhead(t, crowdOf(pooled, 0, 100))
	t.Logf("%.0f bytes for each of %d", each, pooled)
	require.LessOrEqual(t, each, 400.0)
}

// BenchmarkGlance refuses without a signature, in a pool that is full.
func BenchmarkGlance(b *testing.B) {
	txs := crowdOf(pooled, 0, 100)
	p := filled(b, txs)
	cheap := crowdOf(1, 2*pooled, 1)[0].Claim()
	used := rich
	used.Nonce = cheap.Terms.Nonce + 1
	for name, account := range map[string]mempool.Account{"old nonce": used, "cheap": rich} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if p.Glance(start, cheap, account) == nil {
					b.Fatal("not refused")
				}
			}
		})
	}
}
