package node

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

var _ overlay.TxGlancer = (*chain)(nil)

// TestFeesSuffice: no suggestion is below what a pool asks for that has thrown
// others out, and a gauge shows that.
func TestFeesSuffice(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	config := mempool.DefaultConfig()
	config.MaxCount = 4
	var err error
	b.chain.pool, err = mempool.New(config)
	require.NoError(t, err)
	fees := func() api.Fees {
		fees, err := b.Backend().Fees(t.Context())
		require.NoError(t, err)
		return fees
	}
	require.Zero(t, b.chain.feeFloor())
	require.Equal(t, fees().Floor, fees().Low)

	pay := func(from byte, nonce, fee uint64, to wire.Address, amount uint64) *wire.Transaction {
		key := benchKey(from)
		return wire.SignTx(b.Genesis().ID(), key, &wire.TxBody{
			Version: wire.TxVersion, Sender: keyfile.Address(key), Nonce: nonce, Fee: fee, To: to, Amount: amount,
		})
	}
	var grants []*wire.Transaction
	for i := range uint64(8) {
		grants = append(grants, pay(100, i, 1_000, keyfile.Address(benchKey(101+byte(i))), 1_000_000))
	}
	b.forge(t, b.chain.Head(), 2, grants...)
	size := uint64(pay(101, 0, 10_000, wire.Address{7}, 1).Size())
	for i := range uint64(8) {
		b.submit(t, pay(101+byte(i), 0, (10+i)*size, wire.Address{7}, 1))
	}
	require.Equal(t, 14_000, b.chain.feeFloor(), "more than what left last")
	got := fees()
	require.GreaterOrEqual(t, got.Enter, api.Amount(14_000))
	require.GreaterOrEqual(t, got.Low, got.Enter)
	require.GreaterOrEqual(t, got.Medium, got.Low)
	require.GreaterOrEqual(t, got.High, got.Medium)
	families, err := b.events.metrics.registry.Gather()
	require.NoError(t, err)
	shown := -1.0
	for _, f := range families {
		if f.GetName() == "grapevine_mempool_floor" {
			shown = f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	require.Equal(t, 14_000.0, shown)
}

// R105: what a glance says is what the pool would say at the head, whoever signed it.
func TestAGlanceKnowsHeadAndPool(t *testing.T) {
	b := newBench(t, 5, vfs.NewMem())
	included, pooled := b.payment(0, 1_000), b.payment(1, 1_000)
	b.forge(t, b.chain.Head(), 2, included)
	b.submit(t, pooled)
	poor := wire.NewTransaction((&wire.TxBody{Version: wire.TxVersion, Sender: wire.Address{9}, Fee: 1_000, To: wire.Address{7}, Amount: 1}).AppendTo(nil), wire.Signature{})

	cases := []struct {
		name string
		tx   *wire.Transaction
		want error
	}{
		{"another for a used nonce", b.payment(0, 2_000), validation.StaleNonce},
		{"too little more for a pooled nonce", b.payment(1, 1_001), validation.Underpriced},
		{"of a sender who has nothing", poor, validation.Overdraft},
		{"the next", b.payment(2, 1_000), nil},
		{"enough more", b.payment(1, 1_200), nil},
		{"known, which may travel again", pooled, nil},
		{"too far ahead, which may wait", b.payment(500, 1_000), nil},
	}
	var claims []validation.Claim
	for _, c := range cases {
		terms, err := b.chain.DescribeTx(c.tx)
		require.NoError(t, err)
		claims = append(claims, validation.Claim{ID: c.tx.ID(), Size: c.tx.Size(), Terms: terms})
	}
	for i, err := range b.chain.GlanceTxs(claims) {
		require.ErrorIs(t, err, cases[i].want, cases[i].name)
	}
}
