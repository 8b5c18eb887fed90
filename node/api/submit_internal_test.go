package api

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/wire"
)

// soundSubmission is a submission as a wallet would write it.
func soundSubmission(t testing.TB) string {
	t.Helper()
	s, err := NewSubmission(transfer(newGenesis(t), func(b *wire.TxBody) { b.Nonce, b.Payload = 7, []byte("hi") }), "gvt")
	require.NoError(t, err)
	b, err := json.Marshal(s)
	require.NoError(t, err)
	return string(b)
}

// A9: one reading of each document, or none.
func TestSubmissionsThatAreRefused(t *testing.T) {
	good := soundSubmission(t)
	_, _, err := parseSubmission([]byte(good), "gvt")
	require.NoError(t, err)
	sender := addressOf(key(1)).Encode("gvt")
	edit := func(old, new string) string {
		t.Helper()
		require.Contains(t, good, old)
		return strings.Replace(good, old, new, 1)
	}
	for name, c := range map[string]struct{ doc, code string }{
		"empty":               {"", "truncated"},
		"cut":                 {good[:len(good)-1], "truncated"},
		"cut in body":         {good[:40], "truncated"},
		"array":               {"[" + good + "]", CodeBadRequest},
		"null":                {"null", CodeBadRequest},
		"two documents":       {good + good, "trailing_bytes"},
		"garbage after":       {good + "x", "trailing_bytes"},
		"unknown field":       {edit(`"body":`, `"colour":"red","body":`), CodeUnknownField},
		"unknown in body":     {edit(`"fee":`, `"gas":"1","fee":`), CodeUnknownField},
		"other case":          {edit(`"fee":`, `"Fee":`), CodeUnknownField},
		"version":             {edit(`"fee":`, `"version":1,"fee":`), CodeUnknownField},
		"twice":               {edit(`"fee":`, `"fee":"1","fee":`), "not_canonical"},
		"body twice":          {edit(`"signature"`, `"body":{"sender":"`+sender+`","nonce":"1","fee":"1"},"signature"`), "not_canonical"},
		"no fee":              {edit(`"fee":"1000",`, ``), "missing_field"},
		"no body":             {`{"signature":""}`, "missing_field"},
		"no signature":        {`{"body":{"sender":"` + sender + `","nonce":"0","fee":"0"}}`, "missing_field"},
		"number for amount":   {edit(`"nonce":"7"`, `"nonce":7`), CodeBadRequest},
		"exponent":            {edit(`"nonce":"7"`, `"nonce":"1e3"`), CodeBadRequest},
		"infinite":            {edit(`"nonce":"7"`, `"nonce":1e999`), CodeBadRequest},
		"NaN":                 {edit(`"nonce":"7"`, `"nonce":NaN`), CodeBadRequest},
		"negative":            {edit(`"nonce":"7"`, `"nonce":"-7"`), CodeBadRequest},
		"plus":                {edit(`"nonce":"7"`, `"nonce":"+7"`), CodeBadRequest},
		"leading zero":        {edit(`"nonce":"7"`, `"nonce":"07"`), CodeBadRequest},
		"blank":               {edit(`"nonce":"7"`, `"nonce":" 7"`), CodeBadRequest},
		"empty number":        {edit(`"nonce":"7"`, `"nonce":""`), CodeBadRequest},
		"too big":             {edit(`"nonce":"7"`, `"nonce":"18446744073709551616"`), CodeBadRequest},
		"expiry as text":      {edit(`"fee":`, `"expires_at":"5","fee":`), CodeBadRequest},
		"expiry with point":   {edit(`"fee":`, `"expires_at":1.5,"fee":`), CodeBadRequest},
		"bool":                {edit(`"nonce":"7"`, `"nonce":true`), CodeBadRequest},
		"payload not hex":     {edit(`"payload":"6869"`, `"payload":"68xx"`), CodeBadRequest},
		"payload odd":         {edit(`"payload":"6869"`, `"payload":"686"`), CodeBadRequest},
		"short signature":     {edit(`"signature":"`, `"signature":"","network":"`), "wrong_length"},
		"other network":       {edit(sender, addressOf(key(1)).Encode("gv")), CodeWrongAddress},
		"mistyped address":    {edit(sender, sender[:len(sender)-1]+"q"), CodeWrongAddress},
		"empty address":       {edit(sender, ""), CodeWrongAddress},
		"deep":                {edit(`"6869"`, strings.Repeat("[", 100_000)), CodeBadRequest},
		"deep objects":        {edit(`"6869"`, strings.Repeat(`{"a":`, 100_000)), CodeBadRequest},
		"lone surrogate":      {edit(`"6869"`, `"\ud800"`), CodeBadRequest},
		"not UTF-8":           {edit(`"6869"`, "\"\xff\""), CodeBadRequest},
		"byte order mark":     {"\xef\xbb\xbf" + good, CodeBadRequest},
		"comma at the end":    {good + ",", "trailing_bytes"},
		"trailing comma":      {strings.TrimSuffix(good, "}") + ",}", CodeBadRequest},
		"comment":             {"/* hi */" + good, CodeBadRequest},
		"network is a number": {edit(`{"body"`, `{"network":5,"body"`), CodeBadRequest},
	} {
		raw, _, err := parseSubmission([]byte(c.doc), "gvt")
		require.Nil(t, raw, name)
		require.Equal(t, c.code, codeOf(t, err), "%s: %v", name, err)
		require.Less(t, len(err.Error()), 1000, name)
	}
}

// The parser inverts the writer, for every transaction there is.
func TestSubmissionRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Uint64()
		body := &wire.TxBody{
			Version:   wire.TxVersion,
			Sender:    addressOf(key(rapid.Byte().Draw(t, "sender"))),
			Nonce:     number.Draw(t, "nonce"),
			Fee:       number.Draw(t, "fee"),
			ExpiresAt: number.Draw(t, "expires_at"),
			Amount:    number.Draw(t, "amount"),
			Payload:   rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "payload"),
		}
		if rapid.Bool().Draw(t, "transfer") {
			body.To = addressOf(key(3))
		}
		tx := wire.SignTx(wire.NetworkID{1}, key(1), body)
		s, err := NewSubmission(tx, "gvt")
		if err != nil {
			t.Fatal(err)
		}
		doc, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		raw, _, err := parseSubmission(doc, "gvt")
		if err != nil {
			t.Fatal(err)
		}
		if string(raw) != string(tx.Bytes()) {
			t.Fatalf("another transaction came out:\n in %x\nout %x", tx.Bytes(), raw)
		}
	})
}

// The largest transaction fits into the largest JSON body.
func TestLargestSubmissionFits(t *testing.T) {
	tx := transfer(newGenesis(t), func(b *wire.TxBody) {
		b.Nonce, b.Fee, b.ExpiresAt, b.Amount = 1<<64-1, 1<<64-1, 1<<64-1, 1<<64-1
		b.Payload = make([]byte, wire.MaxTx)
	})
	s, err := NewSubmission(wire.NewTransaction(tx.Body(), tx.Signature()), "gvt")
	if err == nil { // larger than any that decodes, and it still fits
		s.Network = strings.Repeat("a", 64)
		doc, err := json.Marshal(s)
		require.NoError(t, err)
		require.LessOrEqual(t, len(doc), maxJSONBody)
	} else {
		require.ErrorIs(t, err, wire.TooLarge)
		require.Less(t, 2*wire.MaxTx+2*1024, maxJSONBody)
	}
}

func TestAmount(t *testing.T) {
	for _, s := range []string{"0", "1", "18446744073709551615"} {
		a, err := ParseAmount(s)
		require.NoError(t, err)
		require.Equal(t, s, a.String())
	}
	var v struct{ A Amount }
	require.Error(t, json.Unmarshal([]byte(`{"A":5}`), &v), "only strings")
	require.NoError(t, json.Unmarshal([]byte(`{"A":"18446744073709551615"}`), &v))
	b, err := json.Marshal(v)
	require.NoError(t, err)
	require.Equal(t, `{"A":"18446744073709551615"}`, string(b))
}

func TestFeesSuggest(t *testing.T) {
	f := Fees{Floor: 1000, Enter: 900, Medium: 0}
	require.Equal(t, Amount(0), f.Suggest(0))
	require.Equal(t, Amount(1), f.Suggest(1))
	require.Equal(t, Amount(250), f.Suggest(250))
	require.Equal(t, Amount(2), Fees{Medium: 1001}.Suggest(1), "rounded up")
	require.Equal(t, ^Amount(0), Fees{Medium: ^Amount(0)}.Suggest(2))
	require.Equal(t, Amount(0), f.Suggest(-5))
}

func FuzzParseSubmission(f *testing.F) {
	f.Add([]byte(soundSubmission(f)))
	f.Add([]byte(`{"body":{"sender":"","nonce":"0","fee":"0"},"signature":""}`))
	f.Add([]byte(`{"network":"a","body":{},"signature":"` + hex.EncodeToString(make([]byte, 64)) + `"}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		raw, _, err := parseSubmission(doc, "gvt")
		if err != nil {
			if _, ok := refusals[errorOf(err).Code]; !ok || errorOf(err).Code == CodeInternal {
				t.Fatalf("no proper refusal: %v", err)
			}
			return
		}
		if !json.Valid(doc) {
			t.Fatalf("accepted what is not JSON: %q", doc)
		}
		tx, err := wire.DecodeTransaction(raw)
		if err != nil {
			return // too large, say; the backend refuses it by the same rule
		}
		s, err := NewSubmission(tx, "gvt")
		if err != nil {
			t.Fatalf("accepted a body that does not decode: %v", err)
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if raw2, _, err := parseSubmission(again, "gvt"); err != nil || string(raw2) != string(raw) {
			t.Fatal(fmt.Errorf("two transactions for one document: %w", err))
		}
	})
}
