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
)

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

// signer makes signatures as an attacker can who knows the secret part of a key
// and adds what he likes to it. Its key is secret·B + torsion and its R is
// nonce·B + torsion of its own; an empty encoding stands for no such part.
type signer struct {
	key, commit []byte // what is added to the key and to R: an encoding of a point of small order
	bareKey     bool   // the key is its torsion alone, encoded as given
	bareCommit  bool   // R is its torsion alone, encoded as given
	hashed      []byte // what the challenge takes for R, if it is not R
}

// sign returns a key and a signature that satisfy 8·S·B = 8·R + 8·k·A, which is
// all that ZIP-215 asks for.
func (s signer) sign(t testing.TB, message []byte) (key, sig []byte) {
	digest := sha512.Sum512(fill(3, 32))
	secret, nonce := clamp(t, digest[:32]), wide(t, sha512.Sum512(message))
	zero := scalar.New()
	if s.bareKey {
		secret = zero
	}
	if s.bareCommit {
		nonce = zero
	}
	key, commit := point(t, secret, s.key), point(t, nonce, s.commit)
	if s.bareKey {
		key = s.key
	}
	if s.bareCommit {
		commit = s.commit
	}
	hashed := commit
	if s.hashed != nil {
		hashed = s.hashed
	}
	challenge := wide(t, sha512.Sum512(bytes.Join([][]byte{hashed, key, message}, nil)))
	var response scalar.Scalar
	response.Mul(challenge, secret)
	response.Add(&response, nonce)
	encoded := make([]byte, 32)
	require.NoError(t, response.ToBytes(encoded))
	return key, append(bytes.Clone(commit), encoded...)
}

// point returns n·B + torsion, encoded.
func point(t testing.TB, n *scalar.Scalar, torsion []byte) []byte {
	var p curve.EdwardsPoint
	p.MulBasepoint(curve.ED25519_BASEPOINT_TABLE, n)
	if torsion != nil {
		p.Add(&p, decompress(t, torsion))
	}
	return compress(p)
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
	addSigned := func(name string, s signer, valid bool) {
		signer, sig := s.sign(t, message)
		add(name, signer, sig, valid)
		if valid && (s.key == nil || s.commit == nil) && !s.bareKey && !s.bareCommit {
			add(name+", S with the order added", signer, append(bytes.Clone(sig[:32]), addOrder(sig[32:])...), false)
		}
	}
	for i, a := range smallOrder[:8] {
		addSigned(fmt.Sprintf("key with torsion %d", i), signer{key: a}, true)
		addSigned(fmt.Sprintf("R with torsion %d", i), signer{commit: a}, true)
		for j, r := range smallOrder[:8] {
			addSigned(fmt.Sprintf("key with torsion %d, R with torsion %d", i, j), signer{key: a, commit: r}, true)
		}
	}
	for i, small := range smallOrder {
		for j, torsion := range smallOrder[:8] {
			addSigned(fmt.Sprintf("key %d of small order, R with torsion %d", i, j), signer{key: small, bareKey: true, commit: torsion}, true)
			addSigned(fmt.Sprintf("key with torsion %d, R %d of small order", j, i), signer{key: torsion, commit: small, bareCommit: true}, true)
		}
		if canonical := compress(*decompress(t, small)); !bytes.Equal(canonical, small) {
			addSigned(fmt.Sprintf("R %d of small order, hashed in its other form", i), signer{commit: small, bareCommit: true, hashed: canonical}, false)
		}
	}
	for y := range byte(19) { // p + y: what is on the curve has two forms, and nobody knows its secret
		other := append([]byte{0xed + y}, append(bytes.Repeat([]byte{0xff}, 30), 0x7f)...)
		add(fmt.Sprintf("a key with the y coordinate p + %d", y), other, good, false)
		add(fmt.Sprintf("an R with the y coordinate p + %d", y), public, append(bytes.Clone(other), good[32:]...), false)
	}
	return list
}
