package mempool_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

func BenchmarkPool(b *testing.B) {
	const pooled = 100_000
	c := mempool.DefaultConfig()
	c.MaxCount = pooled
	full := func(b *testing.B, extra int) (*mempool.Pool, []validation.CheckedTx) {
		b.Helper()
		raw := make([]*wire.Transaction, pooled+extra)
		for i := range raw {
			terms := validation.TxTerms{
				Sender: addressOf(i), Fee: uint64(250 * (100 + i*7919%pooled)), ExpiresAt: millis(start) + uint64(i),
			}
			if i >= pooled {
				terms.Fee += 250 * pooled // pays better than all before
			}
			raw[i] = unsigned(terms, 250, 0)
		}
		txs := mint(raw...)
		p := newPool(b, c)
		for _, tx := range txs[:pooled] {
			add(b, p, tx)
		}
		return p, txs[pooled:]
	}
	b.Run("AddEvict", func(b *testing.B) {
		p, more := full(b, pooled)
		i := 0
		for b.Loop() {
			if i == len(more) {
				b.StopTimer()
				p, more = full(b, pooled)
				i = 0
				b.StartTimer()
			}
			add(b, p, more[i])
			i++
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
	})
	b.Run("Refuse", func(b *testing.B) {
		p, _ := full(b, 0)
		cheap := pay(1<<20, 0, 1)
		for b.Loop() {
			_, _ = p.Add(start, cheap, rich)
		}
	})
	b.Run("Template4000", func(b *testing.B) {
		p, _ := full(b, 0)
		for b.Loop() {
			if n := len(p.Template(start, 4<<20, 4_000)); n != 4_000 {
				b.Fatal(n)
			}
		}
	})
	b.Run("Match4200", func(b *testing.B) {
		p, _ := full(b, 0)
		var salt wire.Salt
		var want []wire.ShortID
		for tx := range p.All() {
			if want = append(want, wire.ShortIDOf(salt, tx.ID())); len(want) == 4_200 {
				break
			}
		}
		for b.Loop() {
			p.Match(salt, want)
		}
	})
	b.Run("SettleBlock4000", func(b *testing.B) {
		p, _ := full(b, 0)
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
}

// TestOverhead measures what the pool needs for each transaction besides the
// transaction itself. Each has a sender of its own, the worst case.
func TestOverhead(t *testing.T) {
	if testing.Short() {
		t.Skip("measures memory")
	}
	const n = 100_000
	raw := make([]*wire.Transaction, n)
	for i := range raw {
		raw[i] = unsigned(validation.TxTerms{Sender: addressOf(i), Fee: uint64(i), ExpiresAt: millis(start) + uint64(i)}, 200, 0)
	}
	txs := mint(raw...)
	before := heap()
	p := newPool(t, mempool.DefaultConfig())
	for _, tx := range txs {
		_, err := p.Add(start, tx, mempool.Account{})
		require.NoError(t, err)
	}
	each := float64(heap()-before) / n
	t.Logf("%.0f bytes for each of %d", each, p.Len())
	require.Less(t, each, 500.0)
	runtime.KeepAlive(txs)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
