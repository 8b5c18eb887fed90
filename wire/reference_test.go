package wire_test

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"strings"
)

// Second implementations of what the formats need beside protobuf, written
// from the specifications and too simple to be wrong, for tests and vectors.

// referenceRoot is the tree of RFC 6962, section 2.1, with our domain.
func referenceRoot(ids [][]byte) []byte {
	const domain = "grapevine/tx-root/1"
	sum := func(parts ...[]byte) []byte {
		h := sha256.New()
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	switch len(ids) {
	case 0:
		return sum([]byte(domain))
	case 1:
		return sum([]byte{0}, []byte(domain), ids[0])
	}
	k := 1 // the largest power of two below len(ids)
	for 2*k < len(ids) {
		k *= 2
	}
	return sum([]byte{1}, []byte(domain), referenceRoot(ids[:k]), referenceRoot(ids[k:]))
}

// referenceSipHash is SipHash-2-4 of in, whose length must be a multiple of 8.
func referenceSipHash(key, in []byte) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[8:])
	v0, v1, v2, v3 := k0^0x736f6d6570736575, k1^0x646f72616e646f6d, k0^0x6c7967656e657261, k1^0x7465646279746573
	round := func() {
		v0 += v1
		v1 = bits.RotateLeft64(v1, 13) ^ v0
		v0 = bits.RotateLeft64(v0, 32)
		v2 += v3
		v3 = bits.RotateLeft64(v3, 16) ^ v2
		v0 += v3
		v3 = bits.RotateLeft64(v3, 21) ^ v0
		v2 += v1
		v1 = bits.RotateLeft64(v1, 17) ^ v2
		v2 = bits.RotateLeft64(v2, 32)
	}
	compress := func(m uint64) {
		v3 ^= m
		round()
		round()
		v0 ^= m
	}
	for i := 0; i < len(in); i += 8 {
		compress(binary.LittleEndian.Uint64(in[i:]))
	}
	compress(uint64(len(in)) << 56)
	v2 ^= 0xff
	for range 4 {
		round()
	}
	return v0 ^ v1 ^ v2 ^ v3
}

// referenceBech32 is the encoder of BIP-173 with the constant of BIP-350 (or
// that of BIP-173, for texts that must be refused).
func referenceBech32(prefix string, key []byte, constant uint32) string {
	const charset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	var groups []byte
	acc, n := uint32(0), 0
	for _, b := range key {
		acc, n = acc<<8|uint32(b), n+8
		for n >= 5 {
			n -= 5
			groups = append(groups, byte(acc>>n)&31)
		}
	}
	if n > 0 {
		groups = append(groups, byte(acc<<(5-n))&31)
	}
	polymod := func(values []byte) uint32 {
		c := uint32(1)
		for _, v := range values {
			top := c >> 25
			c = (c&0x1ffffff)<<5 ^ uint32(v)
			for i, g := range []uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
				if top>>i&1 == 1 {
					c ^= g
				}
			}
		}
		return c
	}
	var values []byte
	for _, c := range []byte(prefix) {
		values = append(values, c>>5)
	}
	values = append(values, 0)
	for _, c := range []byte(prefix) {
		values = append(values, c&31)
	}
	values = append(values, groups...)
	check := polymod(append(values, 0, 0, 0, 0, 0, 0)) ^ constant
	for i := range 6 {
		groups = append(groups, byte(check>>(5*(5-i)))&31)
	}
	var s strings.Builder
	s.WriteString(prefix + "1")
	for _, g := range groups {
		s.WriteByte(charset[g])
	}
	return s.String()
}

const (
	bech32m = 0x2bc830a3
	bech32  = 1
)
