package mempool_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// start is when tests begin.
var start = time.UnixMilli(1_700_000_000_000)

func millis(t time.Time) uint64 { return uint64(t.UnixMilli()) }

// plain is an application whose transaction bodies are their terms, in fixed
// places, and padding.
type plain struct{}

const plainSize = 32 + 4*8

func (plain) DescribeTx(tx *wire.Transaction) (t validation.TxTerms, err error) {
	b := tx.Body()
	if len(b) < plainSize {
		return t, errors.New("too short")
	}
	copy(t.Sender[:], b)
	for i, field := range []*uint64{&t.Nonce, &t.Fee, &t.Spends, &t.ExpiresAt} {
		*field = binary.BigEndian.Uint64(b[32+8*i:])
	}
	return t, nil
}

func (plain) CheckTxs(_ context.Context, _ time.Time, txs []validation.CheckedTx) []error {
	return make([]error, len(txs))
}

func (plain) CheckHeader(context.Context, time.Time, *wire.HeaderBody, validation.Road) error {
	return nil
}

// unsigned returns a transaction with the terms given, of at least size bytes,
// that differs from all others that are minted with another salt.
func unsigned(t validation.TxTerms, size int, salt uint64) *wire.Transaction {
	body := append([]byte(nil), t.Sender[:]...)
	for _, field := range []uint64{t.Nonce, t.Fee, t.Spends, t.ExpiresAt, salt} {
		body = binary.BigEndian.AppendUint64(body, field)
	}
	const frame = 80 // about what signature and framing add
	body = append(body, make([]byte, max(0, size-frame-len(body)))...)
	return wire.NewTransaction(body, wire.Signature{})
}

// minter is the checker of all tests.
var minter = sync.OnceValue(func() *validation.Checker {
	g := &wire.Genesis{
		Network: "mempool-test", AddressPrefix: "gv", Time: millis(start), SlotMillis: 1000,
		Producers: []wire.ProducerSet{{Producers: []wire.Address{addressOf(0)}}},
		Rules:     []wire.RuleChange{{Version: 1}},
		Limits:    wire.DefaultLimits(),
	}
	checker, err := validation.NewChecker(g, plain{})
	if err != nil {
		panic(err)
	}
	return checker
})

// mint makes checked transactions. A block of our own store is believed
// without its signatures, which spares tests the signing.
func mint(txs ...*wire.Transaction) []validation.CheckedTx {
	checker := minter()
	checked := make([]validation.CheckedTx, 0, len(txs))
	for len(txs) > 0 {
		body := wire.HeaderBody{Version: 1, Height: 1, Slot: 1, Time: millis(start)}
		n := 0
		for n < len(txs) && n < 10_000 && int(body.Size)+txs[n].Size() < wire.MaxBlock-100_000 {
			body.Size += uint32(txs[n].Size())
			n++
		}
		block := &wire.Block{Txs: txs[:n]}
		ids := make([]wire.TxID, n)
		for i, tx := range block.Txs {
			ids[i] = tx.ID()
		}
		body.TxCount = uint32(n)
		body.TxRoot = wire.TxRoot(ids)
		body.ShortIDsHash = wire.ShortIDsHash(wire.ShortIDs(body.Salt, ids))
		block.Header = wire.NewHeader(&body, wire.Signature{})
		stored, err := checker.Stored(block)
		if err != nil {
			panic(err)
		}
		checked = append(checked, stored.Txs()...)
		txs = txs[n:]
	}
	return checked
}

// mintOne makes one of about 200 bytes.
func mintOne(t validation.TxTerms) validation.CheckedTx { return mint(unsigned(t, 200, 0))[0] }

func addressOf(i int) wire.Address {
	return sha256.Sum256(fmt.Appendf(nil, "account %d", i))
}
