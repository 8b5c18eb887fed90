package mempool_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TestRecent compares the memory with a list: it holds the last that fit both bounds.
func TestRecent(t *testing.T) {
	var txs []*wire.Transaction
	for i := range 12 {
		txs = append(txs, unsigned(validation.TxTerms{Nonce: uint64(i)}, 200+100*(i%4), 0))
	}
	all := mint(txs...)
	rapid.Check(t, func(t *rapid.T) {
		maxCount, maxBytes := rapid.IntRange(1, 6).Draw(t, "count"), rapid.IntRange(300, 1500).Draw(t, "bytes")
		r := mempool.NewRecent(maxCount, maxBytes)
		var model []validation.CheckedTx
		for range rapid.IntRange(0, 40).Draw(t, "adds") {
			tx := rapid.SampledFrom(all).Draw(t, "tx")
			r.Add(tx)
			if slices.ContainsFunc(model, func(o validation.CheckedTx) bool { return o.ID() == tx.ID() }) {
				continue
			}
			model = append(model, tx)
			for len(model) > maxCount || bytesOf(model) > maxBytes {
				model = model[1:]
			}
		}
		salt := wire.Salt{1}
		var want []wire.ShortID
		for _, tx := range all {
			want = append(want, wire.ShortIDOf(salt, tx.ID()))
			require.Equal(t, slices.ContainsFunc(model, func(o validation.CheckedTx) bool { return o.ID() == tx.ID() }), r.Has(tx.ID()))
		}
		same(t, byID(model), byID(slices.Collect(r.Match(salt, want))))
		require.Empty(t, slices.Collect(r.Match(salt, nil)))
	})
}

func bytesOf(txs []validation.CheckedTx) (n int) {
	for _, tx := range txs {
		n += tx.Size()
	}
	return n
}
