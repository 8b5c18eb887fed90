package validation_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// genesisTime is a whole second, so that tests can speak of slots.
var genesisTime = time.UnixMilli(1_700_000_000_000)

const (
	slotMillis = 1_000
	feePerByte = 2
	maxTx      = 4 << 10
)

func keyOf(name string, i int) ed25519.PrivateKey {
	seed := sha256.Sum256(fmt.Appendf(nil, "%s %d", name, i))
	return ed25519.NewKeyFromSeed(seed[:])
}

func addressOf(key ed25519.PrivateKey) wire.Address {
	return wire.Address(key.Public().(ed25519.PublicKey))
}

func testGenesis() *wire.Genesis {
	g := &wire.Genesis{
		Network:       "validation-test",
		AddressPrefix: "gv",
		Time:          uint64(genesisTime.UnixMilli()),
		SlotMillis:    slotMillis,
		Producers: []wire.ProducerSet{{Producers: []wire.Address{
			addressOf(keyOf("producer", 0)), addressOf(keyOf("producer", 1)),
		}}},
		Rules:  []wire.RuleChange{{Version: 1}},
		Limits: wire.DefaultLimits(),
	}
	g.Limits.MinFeePerByte = feePerByte
	g.Limits.MaxTxBytes = maxTx
	g.Limits.MaxBlockBytes = 64 << 10
	g.Limits.MaxBlockTxs = 20
	for i := range 4 {
		g.Allocations = append(g.Allocations, wire.Allocation{Address: addressOf(keyOf("wallet", i)), Amount: 1_000_000})
	}
	sortAllocations(g)
	return g
}

func sortAllocations(g *wire.Genesis) {
	slices.SortFunc(g.Allocations, func(a, b wire.Allocation) int { return bytes.Compare(a.Address[:], b.Address[:]) })
}

// now is the middle of slot 10.
var now = genesisTime.Add(10*slotMillis*time.Millisecond + slotMillis/2*time.Millisecond)

// payment is a body of the built-in application that pays its way.
func payment(from int, nonce uint64) *wire.TxBody {
	return &wire.TxBody{
		Version: 1,
		Sender:  addressOf(keyOf("wallet", from)),
		Nonce:   nonce,
		Fee:     1_000,
		To:      addressOf(keyOf("wallet", from+1)),
		Amount:  5,
	}
}

func signed(g *wire.Genesis, from int, body *wire.TxBody) *wire.Transaction {
	return wire.SignTx(g.ID(), keyOf("wallet", from), body)
}

// pad fills the payload until the transaction has size bytes.
func pad(g *wire.Genesis, body *wire.TxBody, size int) {
	for body.Payload = make([]byte, size-250); signed(g, 0, body).Size() < size; {
		body.Payload = append(body.Payload, 0)
	}
}

// forged is a transaction that wallet from did not sign.
func forged(g *wire.Genesis, from int, nonce uint64) *wire.Transaction {
	return wire.SignTx(g.ID(), keyOf("mallory", 0), payment(from, nonce))
}

// app is an application whose answers a test chooses; nil fields are content.
type app struct {
	describe func(tx *wire.Transaction) (validation.TxTerms, error)
	txs      func(ctx context.Context, txs []validation.CheckedTx) []error
	header   func(ctx context.Context, h *wire.HeaderBody) error
}

func (a app) DescribeTx(tx *wire.Transaction) (validation.TxTerms, error) {
	if a.describe != nil {
		return a.describe(tx)
	}
	body, err := wire.DecodeTxBody(tx.Body())
	if err != nil {
		return validation.TxTerms{}, err
	}
	return validation.TxTerms{
		Sender: body.Sender, Nonce: body.Nonce, Fee: body.Fee,
		Spends: validation.SaturatingAdd(body.Fee, body.Amount), ExpiresAt: body.ExpiresAt,
	}, nil
}

func (a app) CheckTxs(ctx context.Context, _ time.Time, txs []validation.CheckedTx) []error {
	if a.txs != nil {
		return a.txs(ctx, txs)
	}
	return make([]error, len(txs))
}

func (a app) CheckHeader(ctx context.Context, _ time.Time, h *wire.HeaderBody, _ validation.Road) error {
	if a.header != nil {
		return a.header(ctx, h)
	}
	return nil
}

// answering is an application that says err to everything that has a state.
func answering(err error) app {
	return app{
		txs: func(_ context.Context, txs []validation.CheckedTx) []error {
			return slices.Repeat([]error{err}, len(txs))
		},
		header: func(context.Context, *wire.HeaderBody) error { return err },
	}
}

// throwing is an application that panics wherever it is asked.
func throwing(thrown any) app {
	return app{
		txs:    func(context.Context, []validation.CheckedTx) []error { panic(thrown) },
		header: func(context.Context, *wire.HeaderBody) error { panic(thrown) },
	}
}

// bodyOf returns the header body that producer 0 would sign for txs in slot 10.
func bodyOf(g *wire.Genesis, txs ...*wire.Transaction) *wire.HeaderBody {
	h := &wire.HeaderBody{
		Version:      1,
		Height:       1,
		Parent:       g.ID().GenesisBlock(),
		Producer:     g.ProducerOf(1, 10),
		FeeRecipient: g.ProducerOf(1, 10),
		Slot:         10,
		Time:         g.SlotStart(10),
		TxCount:      uint32(len(txs)),
		Salt:         wire.Salt{1, 2, 3},
	}
	var ids []wire.TxID
	for _, tx := range txs {
		ids = append(ids, tx.ID())
		h.Size += uint32(tx.Size())
	}
	h.TxRoot = wire.TxRoot(ids)
	h.ShortIDsHash = wire.ShortIDsHash(wire.ShortIDs(h.Salt, ids))
	return h
}

func signHeader(g *wire.Genesis, body *wire.HeaderBody) *wire.Header {
	for i := range 2 {
		if key := keyOf("producer", i); addressOf(key) == body.Producer {
			return wire.SignHeader(g.ID(), key, body)
		}
	}
	return wire.SignHeader(g.ID(), keyOf("mallory", 0), body)
}

func parts(txs ...*wire.Transaction) []validation.Part {
	out := make([]validation.Part, len(txs))
	for i, tx := range txs {
		out[i] = validation.Part{Tx: tx}
	}
	return out
}
