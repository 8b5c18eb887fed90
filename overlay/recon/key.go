package recon

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/dchest/siphash"

	"github.com/grapevine-p2p/grapevine/wire"
)

// keyDomain separates the hash that makes a link's key from every other.
const keyDomain = "grapevine/recon/1"

// Salt is one side's share of a link's key: 8 bytes that it draws afresh for
// every session.
type Salt [8]byte

// Short stands for a transaction on one link and for one session.
type Short uint64

// Key turns ids into short ids and short ids into check sums. Two ids share a
// short id with a probability of 2⁻⁶⁴; who does not know both salts cannot
// prepare such a pair, and on another link, or in the next session, the pair
// is none.
type Key struct {
	id0, id1       uint64
	check0, check1 uint64
}

// NewKey is the key of the session in which these two salts were exchanged, in
// either order: the four little-endian words of SHA-256 over a domain and the
// salts, the lower one first. The first two key the short ids, the others the
// check sums.
func NewKey(a, b Salt) Key {
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	sum := sha256.Sum256(append(append([]byte(keyDomain), a[:]...), b[:]...))
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(sum[8*i:]) }
	return Key{id0: word(0), id1: word(1), check0: word(2), check1: word(3)}
}

// Short is SipHash-2-4 of the 32 bytes of the id.
func (k *Key) Short(id wire.TxID) Short {
	return Short(siphash.Hash(k.id0, k.id1, id[:]))
}

// check is SipHash-2-4 of the short id's 8 bytes, little-endian. Its low half
// guards the sum of a symbol; the whole of it leads to the symbols that hold
// the short id.
func (k *Key) check(s Short) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(s))
	return siphash.Hash(k.check0, k.check1, b[:])
}
