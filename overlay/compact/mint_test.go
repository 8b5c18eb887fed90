package compact_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

var start = time.UnixMilli(1_700_000_000_000)

// plain is an application that takes everything.
type plain struct{}

func (plain) DescribeTx(*wire.Transaction) (t validation.TxTerms, err error) { return t, nil }

func (plain) CheckTxs(_ context.Context, _ time.Time, txs []validation.CheckedTx) []error {
	return make([]error, len(txs))
}

func (plain) CheckHeader(context.Context, time.Time, *wire.HeaderBody, validation.Road) error {
	return nil
}

// transactions makes n of size bytes each, from first on.
func transactions(first, n, size int) []*wire.Transaction {
	rng := rand.New(rand.NewPCG(uint64(first), 1))
	txs := make([]*wire.Transaction, n)
	const frame = 70 // what signature and framing add, about
	for i := range txs {
		body := make([]byte, max(size-frame, 8))
		for k := 0; k+8 <= len(body); k += 8 {
			binary.LittleEndian.PutUint64(body[k:], rng.Uint64())
		}
		binary.LittleEndian.PutUint64(body, uint64(first+i))
		txs[i] = wire.NewTransaction(body, wire.Signature{})
	}
	return txs
}

// block makes a checked one, with chunks where they are worth it. change, if not nil,
// alters the header before it is sealed. A block of our own store is believed without
// its signatures, which spares tests the signing.
func block(txs []*wire.Transaction, change func(*wire.HeaderBody)) (validation.CheckedBlock, *compact.Coded) {
	g := &wire.Genesis{
		Network: "compact-test", AddressPrefix: "gv", Time: uint64(start.UnixMilli()), SlotMillis: 1000,
		Producers: []wire.ProducerSet{{Producers: []wire.Address{sha256.Sum256([]byte("producer"))}}},
		Rules:     []wire.RuleChange{{Version: 1}},
		Limits:    wire.DefaultLimits(),
	}
	checker, err := validation.NewChecker(g, plain{})
	if err != nil {
		panic(err)
	}
	body := wire.HeaderBody{Version: 1, Height: 1, Slot: 1, Time: uint64(start.UnixMilli()), Salt: wire.Salt{7}, TxCount: uint32(len(txs))}
	ids := make([]wire.TxID, len(txs))
	for i, tx := range txs {
		ids[i] = tx.ID()
		body.Size += uint32(tx.Size())
	}
	body.TxRoot = wire.TxRoot(ids)
	body.ShortIDsHash = wire.ShortIDsHash(wire.ShortIDs(body.Salt, ids))
	var coded *compact.Coded
	if l, ok := compact.LayoutFor(int(body.Size)); ok {
		if coded, err = compact.Encode(l, txs); err != nil {
			panic(err)
		}
		coded.Describe(&body)
	}
	if change != nil {
		change(&body)
	}
	b, err := checker.Stored(&wire.Block{Header: wire.NewHeader(&body, wire.Signature{}), Txs: txs})
	if err != nil {
		panic(err)
	}
	return b, coded
}

func seed(t testing.TB) uint64 {
	s, err := strconv.ParseUint(os.Getenv("GRAPEVINE_SEED"), 10, 64)
	if err != nil {
		s = rand.Uint64()
	}
	t.Logf("replay: GRAPEVINE_SEED=%d go test -run '^%s$' ./overlay/compact", s, t.Name())
	return s
}
