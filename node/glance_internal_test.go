package node

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

var _ overlay.TxGlancer = (*chain)(nil)

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
