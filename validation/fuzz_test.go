package validation_test

import (
	"context"
	"errors"
	"testing"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// named fails unless err is nil or says by a Fault or a Refusal what is wrong.
func named(t *testing.T, err error) {
	var (
		fault   validation.Fault
		refusal validation.Refusal
	)
	if err != nil && !errors.As(err, &fault) && !errors.As(err, &refusal) {
		t.Fatalf("neither Fault nor Refusal: %v", err)
	}
	if rule := validation.RuleBroken(err); rule == "internal" || rule == "unavailable" {
		t.Fatalf("bytes of a peer broke us: %v", err)
	}
}

func fuzzChecker(f *testing.F) (*wire.Genesis, *validation.Checker) {
	g := testGenesis()
	l, err := ledger.New(g, nil)
	if err != nil {
		f.Fatal(err)
	}
	c, err := validation.NewChecker(g, l)
	if err != nil {
		f.Fatal(err)
	}
	return g, c
}

// FuzzTx looks at the signature of one input in some only: verifying takes a hundred times
// as long as all else, and its code is the library's.
func FuzzTx(f *testing.F) {
	g, c := fuzzChecker(f)
	for _, tc := range txCases(g) {
		if len(tc.raw) <= maxTx {
			f.Add(tc.raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		sound := false
		r := c.VerifyTxs(now, []validation.Arrival{{Raw: raw}}, func(claims []validation.Claim) []error {
			sound = true
			if claims[0].Size != len(raw) || claims[0].ID != wire.TxIDOf(raw) {
				t.Fatalf("claims %v of other bytes", claims[0])
			}
			return []error{validation.PoolFull}
		})[0]
		named(t, r.Err)
		if sound != errors.Is(r.Err, validation.PoolFull) {
			t.Fatalf("looked at: %v, and then: %v", sound, r.Err)
		}
		if sound && r.ID[0]%16 != 0 {
			return
		}
		tx, err := c.Tx(context.Background(), now, raw)
		named(t, err)
		if !sound && text(err) != text(r.Err) {
			t.Fatalf("alone %v, in a batch %v", err, r.Err)
		}
		r = c.Txs(context.Background(), now, []validation.Arrival{{Raw: raw}})[0]
		if text(r.Err) != text(err) || r.Checked != tx && r.Checked.ID() != tx.ID() {
			t.Fatalf("alone %v, in a batch %v", err, r.Err)
		}
		if err == nil {
			if _, err := c.Sound(raw); err != nil {
				t.Fatalf("accepted, yet not sound: %v", err)
			}
		}
	})
}

func FuzzCompact(f *testing.F) {
	g, c := fuzzChecker(f)
	txs := []*wire.Transaction{signed(g, 0, payment(0, 0)), signed(g, 1, payment(1, 0))}
	f.Add(wire.Compact(&wire.Block{Header: signHeader(g, bodyOf(g, txs...)), Txs: txs}).AppendTo(nil))
	f.Add(wire.Compact(&wire.Block{Header: signHeader(g, bodyOf(g))}).AppendTo(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, ids, err := c.Compact(context.Background(), now, raw)
		named(t, err)
		if err == nil && (h.IsZero() || len(ids) != int(h.Body().TxCount)) {
			t.Fatal("accepted without what was accepted")
		}
	})
}

func FuzzEvidence(f *testing.F) {
	g, c := fuzzChecker(f)
	body := bodyOf(g)
	first := signHeader(g, body)
	body.Time++
	second := signHeader(g, body)
	f.Add((&wire.Evidence{First: first, Second: second}).AppendTo(nil))
	f.Add((&wire.Evidence{First: second, Second: first}).AppendTo(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, err := c.Evidence(raw)
		named(t, err)
	})
}
