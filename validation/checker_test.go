package validation_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

func newChecker(t require.TestingT, g *wire.Genesis, a validation.Application) *validation.Checker {
	c, err := validation.NewChecker(g, a)
	require.NoError(t, err)
	return c
}

func TestNewCheckerRefuses(t *testing.T) {
	_, err := validation.NewChecker(nil, app{})
	require.Error(t, err)
	_, err = validation.NewChecker(testGenesis(), nil)
	require.Error(t, err)
	g := testGenesis()
	g.SlotMillis = 0
	_, err = validation.NewChecker(g, app{})
	require.ErrorContains(t, err, "slot_millis")
}

// txCase is a transaction, an application, and what must come of them.
type txCase struct {
	name       string
	raw        []byte
	app        app
	ctx        func(t *testing.T) context.Context // nil: one without end
	verdict    validation.Verdict
	rule       string
	chargeable bool
	sound      bool // the CheckedTx is returned although there is an error
}

func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	t.Cleanup(cancel)
	return ctx
}

func txCases(g *wire.Genesis) []txCase {
	good := signed(g, 0, payment(0, 0)).Bytes()
	with := func(change func(*wire.TxBody)) []byte {
		body := payment(0, 0)
		change(body)
		return signed(g, 0, body).Bytes()
	}
	padded := func(size int) []byte {
		body := payment(0, 0)
		body.Fee = feePerByte * maxTx * 2
		pad(g, body, size)
		return signed(g, 0, body).Bytes()
	}
	exactFee := func(missing uint64) []byte {
		body := payment(0, 0)
		body.Fee = 200 // as many bytes as the fee that is wanted
		body.Fee = uint64(signed(g, 0, body).Size())*feePerByte - missing
		return signed(g, 0, body).Bytes()
	}
	expired := func(ago time.Duration) []byte {
		return with(func(b *wire.TxBody) { b.ExpiresAt = uint64(now.Add(-ago).UnixMilli()) })
	}
	other := testGenesis()
	other.Network = "another"
	tolerance := time.Duration(g.Limits.ClockToleranceMillis) * time.Millisecond
	unknownBody := wire.NewTransaction(append([]byte{0x08, 0x63}, payment(0, 0).AppendTo(nil)[2:]...), wire.Signature{})
	cut := func(err error) app {
		return app{describe: func(*wire.Transaction) (validation.TxTerms, error) { return validation.TxTerms{}, err }}
	}
	short := app{txs: func(_ context.Context, txs []validation.CheckedTx) []error { return make([]error, len(txs)+1) }}
	describePanics := app{describe: func(*wire.Transaction) (validation.TxTerms, error) { panic("boom") }}

	return []txCase{
		{name: "sound", raw: good, verdict: validation.Accept},
		{name: "at the size limit", raw: padded(maxTx), verdict: validation.Accept},
		{name: "at the fee floor", raw: exactFee(0), verdict: validation.Accept},
		{name: "expires now", raw: expired(0), verdict: validation.Accept},

		{name: "nothing", raw: nil, verdict: validation.Reject, rule: "missing_field"},
		{name: "cut short", raw: good[:len(good)-1], verdict: validation.Reject, rule: "truncated"},
		{name: "unknown field", raw: append(good[:len(good):len(good)], 0x18, 1), verdict: validation.Reject, rule: "unknown_field"},
		{name: "one byte over genesis", raw: padded(maxTx + 1), verdict: validation.Reject, rule: "too_large"},
		{name: "over the format", raw: make([]byte, wire.MaxTx+1), verdict: validation.Reject, rule: "too_large"},
		{name: "body of garbage", raw: wire.NewTransaction([]byte("garbage"), wire.Signature{}).Bytes(), verdict: validation.Reject},
		{name: "body of a newer version", raw: unknownBody.Bytes(), verdict: validation.Ignore, rule: "unknown_version"},
		{name: "forged", raw: forged(g, 0, 0).Bytes(), verdict: validation.Reject, rule: "bad_signature"},
		{name: "for another network", raw: signed(other, 0, payment(0, 0)).Bytes(), verdict: validation.Reject, rule: "bad_signature"},

		{name: "under the fee floor", raw: exactFee(1), verdict: validation.Ignore, rule: "fee_too_low", chargeable: true},
		{name: "just expired", raw: expired(time.Millisecond), verdict: validation.Ignore, rule: "expired"},
		{name: "expired as long as clocks may differ", raw: expired(tolerance), verdict: validation.Ignore, rule: "expired"},
		{name: "long expired", raw: expired(tolerance + time.Millisecond), verdict: validation.Ignore, rule: "expired"},

		{name: "application refuses", raw: good, app: answering(validation.StaleNonce), verdict: validation.Ignore, rule: "stale_nonce", sound: true},
		{name: "application proves", raw: good, app: answering(fmt.Errorf("app: %w", validation.BadTerms)), verdict: validation.Reject, rule: "bad_terms", sound: true},
		{name: "application fails", raw: good, app: answering(errors.New("disk full")), verdict: validation.Ignore, rule: "unavailable", sound: true},
		{name: "application cannot decode its own", raw: good, app: answering(wire.Truncated), verdict: validation.Ignore, sound: true},
		{name: "application panics", raw: good, app: throwing("boom"), verdict: validation.Ignore, rule: "unavailable", sound: true},
		{name: "application throws a fault", raw: good, app: throwing(validation.BadSignature), verdict: validation.Ignore, rule: "unavailable", sound: true},
		{name: "application miscounts", raw: good, app: short, verdict: validation.Ignore, rule: "unavailable", sound: true},
		{name: "application ran out of time", raw: good, app: answering(context.DeadlineExceeded), verdict: validation.Ignore, rule: "unavailable", sound: true},
		{
			name: "application ran out of time and blames", raw: good, verdict: validation.Ignore, rule: "unavailable", sound: true,
			app: answering(errors.Join(validation.BadTerms, context.DeadlineExceeded)),
		},
		{name: "we ran out of time", raw: good, app: answering(validation.BadTerms), ctx: ended, verdict: validation.Ignore, rule: "unavailable", sound: true},
		{name: "we ran out of time, but it is forged", raw: forged(g, 0, 0).Bytes(), ctx: ended, verdict: validation.Reject, rule: "bad_signature"},

		{name: "description panics", raw: good, app: describePanics, verdict: validation.Ignore, rule: "unavailable"},
		{name: "description fails", raw: good, app: cut(errors.New("no memory")), verdict: validation.Ignore, rule: "unavailable"},
		{name: "description proves", raw: good, app: cut(validation.BadTerms), verdict: validation.Reject, rule: "bad_terms"},
		{name: "description cannot decode", raw: good, app: cut(wire.Missing), verdict: validation.Reject, rule: "missing_field"},
	}
}

// TestTx goes over the cases above, alone and in a batch of one.
//
// R11: an application that fails, panics or is late blames nobody.
// R12: a body of a newer version is Ignore.
// R13: only what breaks a fixed rule is chargeable.
// R120: what has expired, however long ago, is not.
// R14: the fee floor, the expiry and the size limit are exact.
func TestTx(t *testing.T) {
	g := testGenesis()
	for _, tc := range txCases(g) {
		t.Run(tc.name, func(t *testing.T) {
			c := newChecker(t, g, tc.app)
			ctx := t.Context()
			if tc.ctx != nil {
				ctx = tc.ctx(t)
			}
			tx, err := c.Tx(ctx, now, tc.raw)
			require.Equal(t, tc.verdict, validation.Judge(err), "%v", err)
			require.Equal(t, tc.chargeable, validation.Chargeable(err), "%v", err)
			if tc.rule != "" {
				require.Equal(t, tc.rule, validation.RuleBroken(err), "%v", err)
			}
			require.Equal(t, tc.sound || err == nil, !tx.IsZero())
			if !tx.IsZero() {
				require.Equal(t, tc.raw, tx.Tx().Bytes())
				require.Equal(t, tx.Tx().ID(), tx.ID())
				require.Equal(t, len(tc.raw), tx.Size())
				require.Equal(t, addressOf(keyOf("wallet", 0)), tx.Terms().Sender)
			}

			results := c.Txs(ctx, now, []validation.Arrival{{Raw: tc.raw}})
			require.Len(t, results, 1)
			require.Equal(t, tx, results[0].Checked)
			require.Equal(t, text(err), text(results[0].Err))
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return fmt.Sprintf("%d %s %v: %v", validation.Judge(err), validation.RuleBroken(err), validation.Chargeable(err), err)
}

// TestBatchEqualsSingle: whatever stands beside a transaction, its answer is
// the same, and the application is asked about the same ones.
func TestBatchEqualsSingle(t *testing.T) {
	g := testGenesis()
	refuseOdd := app{txs: func(_ context.Context, txs []validation.CheckedTx) []error {
		errs := make([]error, len(txs))
		for i, tx := range txs {
			if tx.Terms().Nonce%2 == 1 {
				errs[i] = validation.StaleNonce
			}
		}
		return errs
	}}
	c := newChecker(t, g, refuseOdd)
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.Custom(func(t *rapid.T) []byte {
			from, nonce := rapid.IntRange(0, 3).Draw(t, "from"), rapid.Uint64Range(0, 5).Draw(t, "nonce")
			switch rapid.IntRange(0, 5).Draw(t, "kind") {
			case 0:
				return forged(g, from, nonce).Bytes()
			case 1:
				b := signed(g, from, payment(from, nonce)).Bytes()
				return b[:rapid.IntRange(0, len(b)).Draw(t, "cut")]
			case 2:
				b := signed(g, from, payment(from, nonce)).Bytes()
				b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
				return b
			case 3:
				body := payment(from, nonce)
				body.Fee, body.ExpiresAt = rapid.Uint64Range(200, 500).Draw(t, "fee"), rapid.Uint64().Draw(t, "expires")
				return signed(g, from, body).Bytes()
			default:
				return signed(g, from, payment(from, nonce)).Bytes()
			}
		})
		raws := rapid.SliceOfN(raw, 0, 12).Draw(t, "raws")
		arrivals := make([]validation.Arrival, len(raws))
		for i := range raws {
			arrivals[i] = validation.Arrival{Raw: raws[i], From: peerOf(rapid.IntRange(0, 3).Draw(t, "peer"))}
		}
		results := c.Txs(context.Background(), now, arrivals)
		require.Len(t, results, len(raws))
		for i, raw := range raws {
			tx, err := c.Tx(context.Background(), now, raw)
			require.Equal(t, tx, results[i].Checked, "transaction %d", i)
			require.Equal(t, text(err), text(results[i].Err), "transaction %d", i)
		}
	})
}

func TestBadSignaturesFailAlone(t *testing.T) {
	g := testGenesis()
	asked := 0
	c := newChecker(t, g, app{txs: func(_ context.Context, txs []validation.CheckedTx) []error {
		asked++
		return make([]error, len(txs))
	}})
	var arrivals []validation.Arrival
	for i := range 64 {
		tx := signed(g, i%4, payment(i%4, uint64(i)))
		if i == 0 || i == 17 || i == 63 {
			tx = forged(g, i%4, uint64(i))
		}
		arrivals = append(arrivals, validation.Arrival{Raw: tx.Bytes(), From: peerOf(i % 5)})
	}
	for i, r := range c.Txs(t.Context(), now, arrivals) {
		if i == 0 || i == 17 || i == 63 {
			require.ErrorIs(t, r.Err, validation.BadSignature, "transaction %d", i)
			require.True(t, r.Checked.IsZero())
			continue
		}
		require.NoError(t, r.Err, "transaction %d", i)
		require.Equal(t, arrivals[i].Raw, r.Checked.Tx().Bytes())
	}
	require.Equal(t, 1, asked, "the application is asked once for all")
}

// TestGlance: what a glance refuses is not verified; only a refusal refuses. What
// fixed rules refuse is charged as without a glance, which is not asked about it.
func TestGlance(t *testing.T) {
	g := testGenesis()
	c := newChecker(t, g, app{})
	var arrivals []validation.Arrival
	for i := range 5 {
		arrivals = append(arrivals, validation.Arrival{Raw: forged(g, i%2, uint64(i)).Bytes()})
	}
	expired := payment(0, 9)
	expired.ExpiresAt = 1
	cheap := payment(0, 10)
	cheap.Fee = 1
	for _, raw := range [][]byte{signed(g, 0, expired).Bytes(), signed(g, 0, cheap).Bytes(), []byte("no transaction")} {
		arrivals = append(arrivals, validation.Arrival{Raw: raw})
	}
	fault := fmt.Errorf("%w: %w", validation.PoolFull, validation.BadTerms)
	results := c.VerifyTxs(now, arrivals, func(claims []validation.Claim) []error {
		require.Len(t, claims, 5, "what is refused anyway is not asked about")
		for i, claim := range claims {
			tx, err := wire.DecodeTransaction(arrivals[i].Raw)
			require.NoError(t, err)
			require.Equal(t, tx.ID(), claim.ID)
			require.Equal(t, tx.Size(), claim.Size)
			require.Equal(t, uint64(i), claim.Terms.Nonce)
		}
		return []error{validation.PoolFull, nil, fault, errors.New("broken"), fmt.Errorf("so: %w", validation.StaleNonce)}
	})
	for i, want := range []error{
		validation.PoolFull, validation.BadSignature, validation.BadSignature, validation.BadSignature,
		validation.StaleNonce, validation.Expired, validation.FeeTooLow, validation.BadEncoding,
	} {
		require.ErrorIs(t, results[i].Err, want, "transaction %d", i)
		require.Equal(t, i == 6, validation.Chargeable(results[i].Err), "transaction %d", i)
		require.True(t, results[i].Checked.IsZero(), "nobody has checked it")
		require.Equal(t, i < 6, results[i].ID != wire.TxID{}, "transaction %d", i)
	}
}

// TestStoredTx: what was checked once is rebuilt without its signature, and
// damage blames nobody.
func TestStoredTx(t *testing.T) {
	g := testGenesis()
	c := newChecker(t, g, app{})
	tx := signed(g, 0, payment(0, 7))
	want, err := c.Sound(tx.Bytes())
	require.NoError(t, err)
	got, err := c.StoredTx(tx)
	require.NoError(t, err)
	require.Equal(t, want.ID(), got.ID())
	require.Equal(t, want.Terms(), got.Terms())

	_, err = c.StoredTx(forged(g, 0, 7))
	require.NoError(t, err, "the signature is not looked at")
	cheap := payment(0, 7)
	cheap.Fee = 1
	for _, damaged := range []*wire.Transaction{wire.NewTransaction([]byte("rust"), wire.Signature{}), signed(g, 0, cheap)} {
		got, err = c.StoredTx(damaged)
		require.ErrorIs(t, err, validation.Unavailable)
		require.Equal(t, validation.Ignore, validation.Judge(err))
		require.True(t, got.IsZero())
	}
}

func TestSoundNeedsNeitherClockNorState(t *testing.T) {
	g := testGenesis()
	c := newChecker(t, g, throwing("must not be asked"))
	body := payment(0, 0)
	body.ExpiresAt = 1
	tx, err := c.Sound(signed(g, 0, body).Bytes())
	require.NoError(t, err)
	require.False(t, tx.IsZero())

	_, err = c.Sound(forged(g, 0, 0).Bytes())
	require.ErrorIs(t, err, validation.BadSignature)
	body.Fee = 1
	_, err = c.Sound(signed(g, 0, body).Bytes())
	require.ErrorIs(t, err, validation.FeeTooLow)
}

func TestExpiryAndSums(t *testing.T) {
	never := validation.TxTerms{}
	require.False(t, never.ExpiredAt(math.MaxUint64))
	at := validation.TxTerms{ExpiresAt: 7}
	require.False(t, at.ExpiredAt(7))
	require.True(t, at.ExpiredAt(8))
	require.Equal(t, uint64(math.MaxUint64), validation.SaturatingAdd(math.MaxUint64, 1))
	require.Equal(t, uint64(3), validation.SaturatingAdd(1, 2))
	require.Equal(t, uint64(0), validation.UnixMillis(time.Time{}))
}

func peerOf(i int) peerscore.PeerID { return peerscore.PeerID(rune('a' + i)) }
