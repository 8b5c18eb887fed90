package wire_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
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

// smallOrder holds the encodings of the eight points of small order, then the
// six other encodings of three of them that ZIP-215 accepts as well.
var smallOrder = [][]byte{
	unhex("0100000000000000000000000000000000000000000000000000000000000000"),
	unhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
	unhex("0000000000000000000000000000000000000000000000000000000000000000"),
	unhex("0000000000000000000000000000000000000000000000000000000000000080"),
	unhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
	unhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
	unhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
	unhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
	unhex("0100000000000000000000000000000000000000000000000000000000000080"),
	unhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
	unhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
	unhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
	unhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
	unhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
}

// order is the group order L, little-endian.
var order = unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// addOrder returns s + L, the same scalar in a form that must be refused.
func addOrder(s []byte) []byte {
	sum, carry := make([]byte, 32), 0
	for i := range sum {
		carry += int(s[i]) + int(order[i])
		sum[i], carry = byte(carry), carry>>8
	}
	return sum
}

// signedBytes is what a transaction's signature covers, put together anew.
func signedBytes(domain string, network, body []byte) []byte {
	return bytes.Join([][]byte{[]byte(domain), network, body}, nil)
}

// signWithTorsion signs as an attacker would who adds a point of small order
// to the key: valid where the cofactor is multiplied in, as ZIP-215 demands,
// and invalid to most verifiers that leave it out.
func signWithTorsion(t testing.TB, torsion, message []byte) (key, sig []byte) {
	digest := sha512.Sum512(fill(3, 32))
	secret, nonce := clamp(t, digest[:32]), wide(t, sha512.Sum512(message))
	point := decompress(t, torsion)
	var public curve.EdwardsPoint
	public.MulBasepoint(curve.ED25519_BASEPOINT_TABLE, secret)
	public.Add(&public, point)
	var commitment curve.EdwardsPoint
	commitment.MulBasepoint(curve.ED25519_BASEPOINT_TABLE, nonce)
	key, commit := compress(public), compress(commitment)

	challenge := wide(t, sha512.Sum512(bytes.Join([][]byte{commit, key, message}, nil)))
	var s scalar.Scalar
	s.Mul(challenge, secret)
	s.Add(&s, nonce)
	response := make([]byte, 32)
	require.NoError(t, s.ToBytes(response))
	return key, append(commit, response...)
}

func clamp(t testing.TB, b []byte) *scalar.Scalar {
	b = bytes.Clone(b)
	b[0] &= 248
	b[31] = b[31]&127 | 64
	var s scalar.Scalar
	_, err := s.SetBytesModOrder(b)
	require.NoError(t, err)
	return &s
}

func wide(t testing.TB, digest [64]byte) *scalar.Scalar {
	var s scalar.Scalar
	_, err := s.SetBytesModOrderWide(digest[:])
	require.NoError(t, err)
	return &s
}

func decompress(t testing.TB, b []byte) *curve.EdwardsPoint {
	var c curve.CompressedEdwardsY
	_, err := c.SetBytes(b)
	require.NoError(t, err)
	var p curve.EdwardsPoint
	_, err = p.SetCompressedY(&c)
	require.NoError(t, err)
	return &p
}

func compress(p curve.EdwardsPoint) []byte {
	var c curve.CompressedEdwardsY
	c.SetEdwardsPoint(&p)
	return bytes.Clone(c[:])
}

// edgeSignatures makes signatures over body that verifiers are known to
// disagree about. wrap gives the encoded message.
func edgeSignatures(t testing.TB, domain string, network, body []byte, wrap func(sig []byte) []byte) []signatureVector {
	var list []signatureVector
	add := func(name string, signer, sig []byte, valid bool) {
		list = append(list, signatureVector{
			Name: name, Network: hex.EncodeToString(network), Signer: hex.EncodeToString(signer), Message: hexOf(wrap(sig)), Valid: valid,
		})
	}
	message := signedBytes(domain, network, body)
	private := key(1)
	public := []byte(private.Public().(ed25519.PublicKey))
	good := ed25519.Sign(private, message)
	add("ordinary", public, good, true)
	add("over another domain", public, ed25519.Sign(private, signedBytes("grapevine/other/1", network, body)), false)
	add("for another network", public, ed25519.Sign(private, signedBytes(domain, fill(99, 32), body)), false)
	add("over the body alone", public, ed25519.Sign(private, body), false)
	add("of another key", []byte(key(2).Public().(ed25519.PublicKey)), good, false)
	add("one bit of R changed", public, append([]byte{good[0] ^ 1}, good[1:]...), false)
	add("S with the order added", public, append(bytes.Clone(good[:32]), addOrder(good[32:])...), false)
	add("S with its highest bit set", public, append(bytes.Clone(good[:63]), good[63]|0x80), false)
	add("zeros", public, make([]byte, 64), false)
	notOnCurve := append([]byte{2}, make([]byte, 31)...)
	add("a key that is no point", notOnCurve, good, false)
	add("an R that is no point", public, append(bytes.Clone(notOnCurve), good[32:]...), false)
	for i, torsion := range smallOrder[:8] {
		signer, sig := signWithTorsion(t, torsion, message)
		add(fmt.Sprintf("key with torsion %d", i), signer, sig, true)
	}
	for i, a := range smallOrder {
		for j, r := range smallOrder {
			zero := append(bytes.Clone(r), make([]byte, 32)...)
			add(fmt.Sprintf("small order, key %d, R %d, S 0", i, j), a, zero, true)
			if i == j {
				add(fmt.Sprintf("small order, key %d, R %d, S is the order", i, j), a, append(bytes.Clone(r), order...), false)
				one := append(bytes.Clone(r), append([]byte{1}, make([]byte, 31)...)...)
				add(fmt.Sprintf("small order, key %d, R %d, S 1", i, j), a, one, false)
			}
		}
	}
	return list
}

func txSignatureVectors(t testing.TB) vectorFile[signatureVector] {
	body := field(1, "any body")
	return vectorFile[signatureVector]{
		About: "signature of a transaction: network id, signer and encoded Transaction in, valid or not out (rules of ZIP-215)",
		Vectors: edgeSignatures(t, "grapevine/tx/1", fill(50, 32), body, func(sig []byte) []byte {
			return cat(field(1, body), field(2, sig))
		}),
	}
}

// R3: ZIP-215, over domain, network and body.
func TestTxSignatureVectors(t *testing.T) {
	list := vectors(t, "tx_signatures", txSignatureVectors(t))
	network := wire.NetworkID(unhex(list[0].Network))
	batch := wire.NewTxBatch(network, 4) // grows
	for _, v := range list {
		tx, err := wire.DecodeTransaction(v.Message.decode(t))
		require.NoError(t, err)
		signer := wire.Address(unhex(v.Signer))
		require.Equal(t, v.Valid, wire.VerifyTx(network, signer, tx), v.Name)
		batch.Add(signer, tx)

		alone := wire.NewTxBatch(network, 1)
		alone.Add(signer, tx)
		require.Equal(t, []bool{v.Valid}, alone.Verify(), "%s, a batch of one", v.Name)
	}
	for i, valid := range batch.Verify() {
		require.Equal(t, list[i].Valid, valid, "%s, in a batch of all", list[i].Name)
	}
	require.Nil(t, batch.Verify(), "a batch is empty after Verify")
}

// TestBatchEqualsSingle mixes edge cases: however they are batched, each has
// the verdict that it has alone.
//
// R3: one verdict, single or batched.
func TestBatchEqualsSingle(t *testing.T) {
	list := txSignatureVectors(t).Vectors
	network := wire.NetworkID(unhex(list[0].Network))
	var txs []*wire.Transaction
	var good []int
	for i, v := range list {
		tx, err := wire.DecodeTransaction(v.Message.decode(t))
		require.NoError(t, err)
		txs = append(txs, tx)
		if v.Valid {
			good = append(good, i)
		}
	}
	batch := wire.NewTxBatch(network, 64)
	rapid.Check(t, func(t *rapid.T) {
		picks := rapid.SliceOfN(rapid.SampledFrom(good), 0, 70).Draw(t, "valid")
		picks = append(picks, rapid.SliceOfN(rapid.IntRange(0, len(list)-1), 0, 2).Draw(t, "any")...)
		var want []bool
		for _, i := range picks {
			batch.Add(wire.Address(unhex(list[i].Signer)), txs[i])
			want = append(want, list[i].Valid)
		}
		require.Equal(t, want, batch.Verify())
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
		public, sig := signWithTorsion(t, torsion, message)
		if !ed25519.Verify(public, message, sig) {
			differs++
		}
	}
	require.Positive(t, differs)
}
