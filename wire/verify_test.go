package wire_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/wire"
)

type signatureVector struct {
	Name    string  `json:"name"`
	Network string  `json:"network"`
	Signer  string  `json:"signer"`
	Message hexText `json:"message"` // an encoded Transaction, or Header in header_signatures
	Valid   bool    `json:"valid"`
}

func txSignatureVectors(t testing.TB) vectorFile[signatureVector] {
	body := field(1, "any body")
	return vectorFile[signatureVector]{
		About: "signature of a transaction: network id, signer and encoded Transaction in, valid or not out (rules of ZIP-215)",
		Source: "https://zips.z.cash/zip-0215: its rules, and the 14 × 14 encodings of points of small order with S = 0 of its test set, which hold for every message. " +
			"Chalkias, Garillot, Nikolaenko, Taming the many EdDSAs (https://eprint.iacr.org/2020/1244), section 5: " +
			"the classes of its 12 cases (key and R of small, mixed and full order, S not below the order, other forms, which form is hashed), each in all its combinations.",
		Generator: "edgeSignatures in wire/edges_test.go: go test ./wire -run Vectors -update",
		Vectors: edgeSignatures(t, "grapevine/tx/1", fill(50, 32), body, func(sig []byte) []byte {
			return cat(field(1, body), field(2, sig))
		}),
	}
}

// edges are the vectors of tx_signatures.json, decoded.
type edge struct {
	signatureVector
	network wire.NetworkID
	signer  wire.Address
	tx      *wire.Transaction
}

func edges(t *testing.T) (list []edge) {
	for _, v := range vectors(t, "tx_signatures", txSignatureVectors(t)) {
		tx, err := wire.DecodeTransaction(v.Message.decode(t))
		require.NoError(t, err)
		list = append(list, edge{v, wire.NetworkID(unhex(v.Network)), wire.Address(unhex(v.Signer)), tx})
	}
	return list
}

// together returns the verdicts that edges have in one batch.
func together(list ...edge) []bool {
	batch := wire.NewTxBatch(list[0].network, 1) // grows
	for _, e := range list {
		batch.Add(e.signer, e.tx)
	}
	return batch.Verify()
}

// Each edge case has one verdict: single, in a batch alone, among good ones (where the
// equation is solved for all), among bad ones (where it fails), among both, and in a
// batch of all.
//
// R3: ZIP-215, over domain, network and body; one verdict, single or batched.
func TestTxSignatureVectors(t *testing.T) {
	list := edges(t)
	var good, bad []edge
	var verdicts []bool
	for _, e := range list {
		require.Equal(t, e.Valid, wire.VerifyTx(e.network, e.signer, e.tx), e.Name)
		if verdicts = append(verdicts, e.Valid); e.Valid {
			good = append(good, e)
		} else {
			bad = append(bad, e)
		}
	}
	require.Greater(t, len(good), 400)
	require.Greater(t, len(bad), 80)
	around := func(from []edge, i, n int) (some []edge) {
		for k := range n {
			some = append(some, from[(i*31+k*17)%len(from)])
		}
		return some
	}
	for i, e := range list {
		require.Equal(t, []bool{e.Valid}, together(e), "%s, alone", e.Name)
		for among, company := range map[string][]edge{
			"one good": around(good, i, 1),
			"good":     around(good, i, 15),
			"bad":      around(bad, i, 3),
			"both":     append(around(good, i, 5), around(bad, i, 2)...),
		} {
			require.Equal(t, e.Valid, together(append(company, e)...)[len(company)], "%s, among %s", e.Name, among)
		}
	}
	require.Equal(t, verdicts, together(list...), "all of them")
	require.Nil(t, wire.NewTxBatch(list[0].network, 4).Verify(), "nothing to verify")
}

// TestBatchEqualsSingle mixes edge cases: however they are batched, each has
// the verdict that it has alone.
//
// R3: one verdict, single or batched.
func TestBatchEqualsSingle(t *testing.T) {
	list := edges(t)
	var good []int
	for i, e := range list {
		if e.Valid {
			good = append(good, i)
		}
	}
	batch := wire.NewTxBatch(list[0].network, 64)
	rapid.Check(t, func(t *rapid.T) {
		picks := rapid.SliceOfN(rapid.SampledFrom(good), 0, 70).Draw(t, "valid")
		picks = append(picks, rapid.SliceOfN(rapid.IntRange(0, len(list)-1), 0, 2).Draw(t, "any")...)
		var want []bool
		for _, i := range picks {
			batch.Add(list[i].signer, list[i].tx)
			want = append(want, list[i].Valid)
		}
		require.Equal(t, want, batch.Verify(), "a batch is empty after Verify, so that it can be used again")
	})
}

func TestHeaderSignatureVectors(t *testing.T) {
	// The signer is inside the header, so that each case has its own body.
	network := fill(50, 32)
	body := sampleHeaderBody()
	body.Producer = []byte(key(1).Public().(ed25519.PublicKey))
	encoded := oracle(body)
	sig := ed25519.Sign(key(1), signedBytes("grapevine/header/1", network, encoded))
	tx := ed25519.Sign(key(1), signedBytes("grapevine/tx/1", network, encoded))
	small := sampleHeaderBody()
	small.Producer = smallOrder[4]
	file := vectorFile[signatureVector]{About: "signature of a header: network id and encoded Header in, valid or not out (rules of ZIP-215)"}
	add := func(name string, signer, body, sig []byte, valid bool) {
		file.Vectors = append(file.Vectors, signatureVector{
			Name: name, Network: hex.EncodeToString(network), Signer: hex.EncodeToString(signer),
			Message: hexOf(cat(field(1, body), field(2, sig))), Valid: valid,
		})
	}
	add("ordinary", body.Producer, encoded, sig, true)
	add("a transaction's domain", body.Producer, encoded, tx, false)
	add("S with the order added", body.Producer, encoded, append(bytes.Clone(sig[:32]), addOrder(sig[32:])...), false)
	add("another header's", sampleHeaderBody().Producer, oracle(sampleHeaderBody()), sig, false)
	add("key of small order", small.Producer, oracle(small), append(bytes.Clone(smallOrder[8]), make([]byte, 32)...), true)

	for _, v := range vectors(t, "header_signatures", file) {
		h, err := wire.DecodeHeader(v.Message.decode(t))
		require.NoError(t, err)
		require.Equal(t, v.Signer, h.Body().Producer.String())
		require.Equal(t, v.Valid, wire.VerifyHeader(wire.NetworkID(unhex(v.Network)), h), v.Name)
	}
}

// TestStandardLibraryDiffers shows why crypto/ed25519 must not verify here: it
// refuses signatures that other nodes, and our own batches, accept.
func TestStandardLibraryDiffers(t *testing.T) {
	message := []byte("any")
	differs := 0
	for _, torsion := range smallOrder[:8] {
		public, sig := signer{key: torsion}.sign(t, message)
		if !ed25519.Verify(public, message, sig) {
			differs++
		}
	}
	require.Positive(t, differs)
}
