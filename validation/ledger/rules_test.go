package ledger_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

func TestDescribeTx(t *testing.T) {
	g := testGenesis(1)
	l, err := ledger.New(g, nil)
	require.NoError(t, err)
	describe := func(body wire.TxBody) (validation.TxTerms, error) {
		body.Version, body.Sender = 1, wallet(0)
		return l.DescribeTx(wire.NewTransaction(body.AppendTo(nil), wire.Signature{}))
	}
	terms, err := describe(wire.TxBody{Nonce: 3, Fee: 10, To: wallet(1), Amount: 5, ExpiresAt: 99})
	require.NoError(t, err)
	require.Equal(t, validation.TxTerms{Sender: wallet(0), Nonce: 3, Fee: 10, Spends: 15, ExpiresAt: 99}, terms)
	_, err = describe(wire.TxBody{Payload: []byte("a note, to nobody")})
	require.NoError(t, err)
	_, err = describe(wire.TxBody{Fee: 1, To: wallet(1), Amount: math.MaxUint64 - 1})
	require.NoError(t, err)

	for name, body := range map[string]wire.TxBody{
		"an amount to nobody": {Amount: 1},
		"more than 64 bits":   {Fee: 1, To: wallet(1), Amount: math.MaxUint64},
		"the last nonce":      {Nonce: math.MaxUint64},
	} {
		_, err := describe(body)
		require.ErrorIs(t, err, validation.BadTerms, name)
	}
	_, err = l.DescribeTx(wire.NewTransaction([]byte{0xff}, wire.Signature{}))
	var malformed wire.Malformed
	require.ErrorAs(t, err, &malformed)
}

// R15: an account's nonces begin with 0 and go up by one.
func TestCheckTxs(t *testing.T) {
	g := testGenesis(1)
	c := newChain(t, g)
	c.mustAdd(blockOn(g, nil, 1, pay(g, 0, 0, wire.Address{9}, 100, 900)))

	for name, tc := range map[string]struct {
		tx   *wire.Transaction
		want string
	}{
		"next":                  {pay(g, 0, 1, wallet(1), 1, 900), ""},
		"ahead, for the pool":   {pay(g, 0, 1_000, wallet(1), 1, 900), ""},
		"stale":                 {pay(g, 0, 0, wallet(1), 2, 900), "stale_nonce"},
		"all it has":            {pay(g, 0, 1, wallet(1), wealth-1_000-900, 900), ""},
		"one more":              {pay(g, 0, 1, wallet(1), wealth-1_000-899, 900), "overdraft"},
		"stale before too much": {pay(g, 0, 0, wallet(1), wealth, 900), "stale_nonce"},
	} {
		_, err := c.checker.Tx(t.Context(), time.UnixMilli(int64(g.Time)), tc.tx.Bytes())
		require.Equal(t, tc.want, validation.RuleBroken(err), name)
	}
}

// TestCheckHeader has one defect in each case.
//
// R20: slots increase along a chain, and a header's time lies inside its slot.
// R21: the producer is the one whose turn it is, whether the parent is known or not.
// R22: what our clock says leads to Ignore, and only gossip has a lower bound.
func TestCheckHeader(t *testing.T) {
	g := testGenesis(2)
	c := newChain(t, g)
	first := blockOn(g, nil, 20)
	c.mustAdd(first)
	tolerance := int64(g.Limits.ClockToleranceMillis)
	at := func(slot uint64, plus int64) time.Time { return time.UnixMilli(int64(g.SlotStart(slot)) + plus) }
	stray := wire.BlockID{7}

	cases := []struct {
		name   string
		change func(h *wire.HeaderBody)
		now    time.Time // zero: in the slot
		road   validation.Road
		want   string
	}{
		{name: "sound"},
		{name: "sound, at the end of its slot", change: func(h *wire.HeaderBody) { h.Time += slotMillis - 1 }},
		{name: "on genesis", change: func(h *wire.HeaderBody) { h.Height, h.Parent = 1, g.ID().GenesisBlock() }},

		{name: "time before the slot", change: func(h *wire.HeaderBody) { h.Time-- }, want: "bad_header"},
		{name: "time after the slot", change: func(h *wire.HeaderBody) { h.Time += slotMillis }, want: "bad_header"},
		{name: "time before genesis", change: func(h *wire.HeaderBody) { h.Slot, h.Time = 0, g.Time-1 }, want: "bad_header"},
		{name: "slot beyond all time", change: func(h *wire.HeaderBody) { h.Slot = math.MaxUint64 }, want: "bad_header"},
		{name: "more blocks than slots", change: func(h *wire.HeaderBody) { h.Height, h.Parent = 41, stray }, want: "bad_header"},
		{name: "another's turn", change: func(h *wire.HeaderBody) { h.Producer = producer(1) }, want: "bad_turn"},
		{name: "another's turn, parent unknown", change: func(h *wire.HeaderBody) { h.Producer, h.Parent = producer(1), stray }, want: "bad_turn"},
		{name: "another's turn, long ago", change: func(h *wire.HeaderBody) { h.Producer = producer(1) }, now: at(400, 0), want: "bad_turn"},
		{name: "wrong height", change: func(h *wire.HeaderBody) { h.Height++ }, want: "bad_header"},
		{name: "wrong height, same as its parent", change: func(h *wire.HeaderBody) { h.Height-- }, want: "bad_header"},
		{name: "slot of its parent", change: func(h *wire.HeaderBody) { h.Slot, h.Time = 20, g.SlotStart(20) }, road: validation.Sync, want: "bad_header"},
		{name: "slot before its parent", change: func(h *wire.HeaderBody) { h.Slot, h.Time = 18, g.SlotStart(18) }, road: validation.Sync, want: "bad_header"},

		{name: "parent unknown", change: func(h *wire.HeaderBody) { h.Parent = stray }, want: "unknown_parent"},
		{name: "at the height of genesis", change: func(h *wire.HeaderBody) { h.Height, h.Parent = 0, stray }, want: "below_final"},

		{name: "begins when clocks differ most", now: at(40, -tolerance)},
		{name: "begins later", now: at(40, -tolerance-1), want: "early_slot"},
		{name: "begins later, asked for", now: at(40, -tolerance-1), road: validation.Sync, want: "early_slot"},
		{name: "begins later, our own", now: at(40, -tolerance-1), road: validation.Own, want: "early_slot"},
		{name: "begins later, parent unknown", change: func(h *wire.HeaderBody) { h.Parent = stray }, now: at(40, -tolerance-1), want: "early_slot"},
		{name: "as late as may be", now: at(40+ledger.LateSlots+1, tolerance-1)},
		{name: "too late", now: at(40+ledger.LateSlots+1, tolerance), want: "late_slot"},
		{name: "too late, asked for", now: at(4_000, 0), road: validation.Sync},
		{name: "our clock is before 1970", now: time.Unix(-5, 0), want: "early_slot"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			h := headerOn(g, first, 40)
			if tc.change != nil {
				tc.change(h)
			}
			now := tc.now
			if now.IsZero() {
				now = at(40, 0)
			}
			err := c.ledger.CheckHeader(context.Background(), now, h, tc.road)
			require.Equal(t, tc.want, validation.RuleBroken(err), "%v", err)
		})
	}
}
