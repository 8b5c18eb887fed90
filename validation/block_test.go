package validation_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TestHeader is about what every application's headers must be.
//
// R10: what a header itself proves is Reject.
// R11: an application that fails or panics blames nobody.
// R52: chunks are named by root and number, or not at all.
func TestHeader(t *testing.T) {
	g := testGenesis()
	cases := []struct {
		name    string
		change  func(h *wire.HeaderBody)
		forged  bool
		app     app
		verdict validation.Verdict
		rule    string
	}{
		{name: "sound", verdict: validation.Accept},
		{name: "forged", forged: true, verdict: validation.Reject, rule: "bad_signature"},
		{name: "height 0", change: func(h *wire.HeaderBody) { h.Height = 0 }, verdict: validation.Reject, rule: "bad_header"},
		{name: "too many transactions", change: func(h *wire.HeaderBody) { h.TxCount = g.Limits.MaxBlockTxs + 1 }, verdict: validation.Reject, rule: "bad_header"},
		{name: "too many bytes", change: func(h *wire.HeaderBody) { h.Size = g.Limits.MaxBlockBytes + 1 }, verdict: validation.Reject, rule: "bad_header"},
		{name: "chunks", change: func(h *wire.HeaderBody) { h.ChunkRoot, h.ChunkData, h.ChunkParity = wire.Hash{1}, 4, 1 }, verdict: validation.Accept},
		{name: "chunks without parity", change: func(h *wire.HeaderBody) { h.ChunkRoot, h.ChunkData = wire.Hash{1}, 4 }, verdict: validation.Accept},
		{name: "chunk root alone", change: func(h *wire.HeaderBody) { h.ChunkRoot = wire.Hash{1} }, verdict: validation.Reject, rule: "bad_header"},
		{name: "chunk data alone", change: func(h *wire.HeaderBody) { h.ChunkData = 1 }, verdict: validation.Reject, rule: "bad_header"},
		{name: "chunk parity alone", change: func(h *wire.HeaderBody) { h.ChunkParity = 1 }, verdict: validation.Reject, rule: "bad_header"},
		{name: "application refuses", app: answering(validation.UnknownParent), verdict: validation.Ignore, rule: "unknown_parent"},
		{name: "application proves", app: answering(validation.BadTurn), verdict: validation.Reject, rule: "bad_turn"},
		{name: "application fails", app: answering(errors.New("no")), verdict: validation.Ignore, rule: "unavailable"},
		{name: "application panics", app: throwing(validation.BadTurn), verdict: validation.Ignore, rule: "unavailable"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := newChecker(t, g, tc.app)
			body := bodyOf(g)
			if tc.change != nil {
				tc.change(body)
			}
			h := signHeader(g, body)
			if tc.forged {
				h = wire.SignHeader(g.ID(), keyOf("mallory", 0), body)
			}
			checked, err := c.Header(t.Context(), now, h, validation.Sync)
			require.Equal(t, tc.verdict, validation.Judge(err), "%v", err)
			require.Equal(t, tc.rule, validation.RuleBroken(err), "%v", err)
			require.Equal(t, err != nil, checked.IsZero())
			if err == nil {
				require.Equal(t, h.ID(), checked.ID())
				require.Same(t, h, checked.Header())
			}

			// The compact form of the same header gets the same answer.
			compact := &wire.CompactBlock{Header: h, ShortIDs: make([]wire.ShortID, body.TxCount)}
			if body.TxCount == 0 {
				_, _, again := c.Compact(t.Context(), now, compact.AppendTo(nil))
				require.Equal(t, text(err), text(again))
			}
		})
	}
}

// R12: TestHeaderOfAnotherVersion: a version that genesis has at no height yet is a
// fault, one that this program does not know proves nothing.
func TestHeaderOfAnotherVersion(t *testing.T) {
	g := testGenesis()
	g.Rules = append(g.Rules, wire.RuleChange{Height: 5, Version: 2})
	c := newChecker(t, g, app{})
	body := bodyOf(g)
	body.Height = 5
	_, err := c.Header(t.Context(), now, signHeader(g, body), validation.Gossip)
	require.ErrorIs(t, err, validation.BadHeader, "version 1 where genesis wants 2")

	body.Version = 2
	raw := (&wire.CompactBlock{Header: signHeader(g, body)}).AppendTo(nil)
	_, _, err = c.Compact(t.Context(), now, raw)
	require.ErrorIs(t, err, validation.UnknownVersion)
	require.Equal(t, validation.Ignore, validation.Judge(err))
}

func TestCompact(t *testing.T) {
	g := testGenesis()
	c := newChecker(t, g, app{})
	block := &wire.Block{Txs: []*wire.Transaction{signed(g, 0, payment(0, 0)), signed(g, 1, payment(1, 0))}}
	block.Header = signHeader(g, bodyOf(g, block.Txs...))
	good := wire.Compact(block)

	h, ids, err := c.Compact(t.Context(), now, good.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, block.ID(), h.ID())
	require.Equal(t, good.ShortIDs, ids)

	swapped := &wire.CompactBlock{Header: good.Header, ShortIDs: []wire.ShortID{good.ShortIDs[1], good.ShortIDs[0]}}
	_, _, err = c.Compact(t.Context(), now, swapped.AppendTo(nil))
	require.ErrorIs(t, err, validation.BadShortIDs)
	missing := &wire.CompactBlock{Header: good.Header, ShortIDs: good.ShortIDs[:1]}
	_, _, err = c.Compact(t.Context(), now, missing.AppendTo(nil))
	require.ErrorIs(t, err, validation.BadShortIDs)
	_, _, err = c.Compact(t.Context(), now, good.AppendTo(nil)[1:])
	require.ErrorIs(t, err, validation.BadEncoding)

	body := bodyOf(g, block.Txs...)
	body.TxCount++ // the hash is right, the count is not
	_, _, err = c.Compact(t.Context(), now, (&wire.CompactBlock{Header: signHeader(g, body), ShortIDs: good.ShortIDs}).AppendTo(nil))
	require.ErrorIs(t, err, validation.BadShortIDs)
}

// TestBlockBody holds bodies to what their headers sign.
//
// R23: the header's time decides what has expired.
// R26: a wrong body is BadTxRoot, an invalid one that is signed BadBlock.
func TestBlockBody(t *testing.T) {
	g := testGenesis()
	a, b := signed(g, 0, payment(0, 0)), signed(g, 1, payment(1, 0))
	expired := payment(2, 0)
	expired.ExpiresAt = g.SlotStart(10) - 1
	inTime := payment(2, 0)
	inTime.ExpiresAt = g.SlotStart(10) // now is later: the header's time counts
	cheap := payment(2, 0)
	cheap.Fee = 10
	large := payment(2, 0)
	large.Fee, large.Payload = 100_000, make([]byte, maxTx)
	// Sixteen of these fit into the limit, but not with their header.
	half := payment(2, 0)
	half.Fee = 10_000
	pad(g, half, maxTx-6)
	newer := wire.NewTransaction(append([]byte{0x08, 0x63}, payment(0, 0).AppendTo(nil)[2:]...), wire.Signature{})
	garbage := wire.NewTransaction([]byte("garbage"), wire.Signature{})

	cases := []struct {
		name   string
		signs  []*wire.Transaction // what the header signs
		body   []*wire.Transaction // what is given; nil: the same
		change func(h *wire.HeaderBody)
		app    app
		rule   string
	}{
		{name: "sound", signs: []*wire.Transaction{a, b}},
		{name: "empty", signs: nil},
		{name: "expires after the header's time", signs: []*wire.Transaction{signed(g, 2, inTime)}},

		{name: "one missing", signs: []*wire.Transaction{a, b}, body: []*wire.Transaction{a}, rule: "bad_tx_root"},
		{name: "one more", signs: []*wire.Transaction{a}, body: []*wire.Transaction{a, b}, rule: "bad_tx_root"},
		{name: "another order", signs: []*wire.Transaction{a, b}, body: []*wire.Transaction{b, a}, rule: "bad_tx_root"},
		{name: "the last twice", signs: []*wire.Transaction{a, b}, body: []*wire.Transaction{a, b, b}, rule: "bad_tx_root"},
		{name: "another signature", signs: []*wire.Transaction{a}, body: []*wire.Transaction{forged(g, 0, 0)}, rule: "bad_tx_root"},

		{name: "wrong count", signs: []*wire.Transaction{a, b}, change: func(h *wire.HeaderBody) { h.TxCount = 3 }, rule: "bad_block"},
		{name: "wrong size", signs: []*wire.Transaction{a, b}, change: func(h *wire.HeaderBody) { h.Size-- }, rule: "bad_block"},
		{name: "wrong short ids", signs: []*wire.Transaction{a, b}, change: func(h *wire.HeaderBody) { h.Salt[0]++ }, rule: "bad_block"},
		{name: "a transaction twice", signs: []*wire.Transaction{a, a}, rule: "bad_block"},
		{name: "expired", signs: []*wire.Transaction{a, signed(g, 2, expired)}, rule: "bad_block"},
		{name: "forged", signs: []*wire.Transaction{a, forged(g, 1, 0), b}, rule: "bad_block"},
		{name: "below the fee floor", signs: []*wire.Transaction{signed(g, 2, cheap)}, rule: "bad_block"},
		{name: "transaction over genesis' limit", signs: []*wire.Transaction{signed(g, 2, large)}, rule: "bad_block"},
		{name: "block over genesis' limit", signs: blockOf(g, half, 16), rule: "bad_block"},
		{name: "garbage", signs: []*wire.Transaction{a, garbage}, rule: "bad_block"},
		{name: "newer", signs: []*wire.Transaction{a, newer}, rule: "unknown_version"},
		{
			name: "description panics", signs: []*wire.Transaction{a}, rule: "unavailable",
			app: app{describe: func(*wire.Transaction) (validation.TxTerms, error) { panic(validation.BadTerms) }},
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := newChecker(t, g, tc.app)
			body := bodyOf(g, tc.signs...)
			if tc.change != nil {
				tc.change(body)
			}
			h, err := c.Header(t.Context(), now, signHeader(g, body), validation.Sync)
			require.NoError(t, err)
			given := tc.body
			if given == nil {
				given = tc.signs
			}
			block, err := c.Block(h, parts(given...))
			require.Equal(t, tc.rule, validation.RuleBroken(err), "%v", err)
			require.Equal(t, err != nil, block.IsZero())
			if err == nil {
				require.Equal(t, h.ID(), block.ID())
				require.Len(t, block.Txs(), len(given))
				require.Equal(t, wire.TxRoot(block.Block().TxIDs()), body.TxRoot)
			}
			for _, refusal := range validation.Refusals() {
				if refusal != validation.UnknownVersion && refusal != validation.Unavailable {
					require.NotErrorIs(t, err, refusal, "what is a refusal for a transaction is none for its block")
				}
			}
		})
	}
}

// blockOf returns n transactions like body.
func blockOf(g *wire.Genesis, body *wire.TxBody, n int) []*wire.Transaction {
	var txs []*wire.Transaction
	for i := range n {
		body := *body
		body.Nonce = uint64(i)
		txs = append(txs, signed(g, 2, &body))
	}
	return txs
}

// TestCheckedPartsAreNotVerifiedAgain: parts from the mempool cost nothing, yet
// the body is held to the header all the same.
func TestCheckedPartsAreNotVerifiedAgain(t *testing.T) {
	g := testGenesis()
	described := 0
	counting := app{describe: func(tx *wire.Transaction) (validation.TxTerms, error) {
		described++
		return app{}.DescribeTx(tx)
	}}
	c := newChecker(t, g, counting)
	a, err := c.Tx(t.Context(), now, signed(g, 0, payment(0, 0)).Bytes())
	require.NoError(t, err)
	b := signed(g, 1, payment(1, 0))
	h, err := c.Header(t.Context(), now, signHeader(g, bodyOf(g, a.Tx(), b)), validation.Own)
	require.NoError(t, err)

	described = 0
	block, err := c.Block(h, []validation.Part{{Checked: a}, {Tx: b}})
	require.NoError(t, err)
	require.Equal(t, 1, described)
	require.Equal(t, a, block.Txs()[0])

	_, err = c.Block(h, []validation.Part{{Tx: b}, {Checked: a}})
	require.ErrorIs(t, err, validation.BadTxRoot)
	_, err = c.Block(h, []validation.Part{{Checked: a}, {}})
	require.Equal(t, validation.Ignore, validation.Judge(err), "our own mistake blames nobody")
	_, err = c.Block(validation.CheckedHeader{}, nil)
	require.Equal(t, validation.Ignore, validation.Judge(err))
	require.Error(t, err)
}

func TestStored(t *testing.T) {
	g := testGenesis()
	c := newChecker(t, g, throwing("must not be asked"))
	txs := []*wire.Transaction{signed(g, 0, payment(0, 0)), signed(g, 1, payment(1, 0))}
	stored := &wire.Block{Header: signHeader(g, bodyOf(g, txs...)), Txs: txs}
	block, err := c.Stored(stored)
	require.NoError(t, err)
	require.Same(t, stored, block.Block())
	require.Equal(t, stored.ID(), block.ID())
	require.Len(t, block.Txs(), 2)

	_, err = c.Stored(&wire.Block{Header: stored.Header, Txs: txs[:1]})
	require.Error(t, err)
	require.Equal(t, validation.Ignore, validation.Judge(err), "a damaged disk is nobody's fault")
}

func TestEvidence(t *testing.T) {
	g := testGenesis()
	c := newChecker(t, g, app{})
	header := func(change func(h *wire.HeaderBody)) *wire.Header {
		body := bodyOf(g)
		change(body)
		return signHeader(g, body)
	}
	x := header(func(*wire.HeaderBody) {})
	y := header(func(h *wire.HeaderBody) { h.Time++ })
	if x.ID().String() > y.ID().String() {
		x, y = y, x
	}
	good := &wire.Evidence{First: x, Second: y}
	ev, err := c.Evidence(good.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, x.ID(), ev.First.ID())

	ordered := func(a, b *wire.Header) *wire.Evidence {
		if a.ID().String() > b.ID().String() {
			a, b = b, a
		}
		return &wire.Evidence{First: a, Second: b}
	}
	turnless := func(h *wire.HeaderBody) { h.Producer = g.ProducerOf(1, h.Slot+1) }
	bad := map[string]*wire.Evidence{
		"the same twice":     {First: x, Second: x},
		"the other order":    {First: y, Second: x},
		"different slots":    ordered(x, header(func(h *wire.HeaderBody) { h.Slot += 2 })),
		"different producer": ordered(x, header(turnless)),
		"not its turn": ordered(header(turnless), header(func(h *wire.HeaderBody) {
			turnless(h)
			h.Time++
		})),
		"forged": ordered(x, wire.SignHeader(g.ID(), keyOf("mallory", 0), y.Body())),
	}
	for name, ev := range bad {
		_, err := c.Evidence(ev.AppendTo(nil))
		require.ErrorIs(t, err, validation.BadEvidence, name)
	}
	_, err = c.Evidence(good.AppendTo(nil)[:10])
	require.ErrorIs(t, err, validation.BadEncoding)
}

// TestSaturatedFeeFloor is about a genesis that nobody would make.
func TestSaturatedFeeFloor(t *testing.T) {
	g := testGenesis()
	g.Limits.MinFeePerByte = wire.MaxMinFeePerByte
	c := newChecker(t, g, app{})
	_, err := c.Tx(context.Background(), now, signed(g, 0, payment(0, 0)).Bytes())
	require.ErrorIs(t, err, validation.FeeTooLow)
}
