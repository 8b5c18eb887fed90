package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/dchest/siphash"
)

const (
	shortIDSize    = 6
	shortIDsDomain = "grapevine/short-ids/1"
)

// ShortID stands for a transaction in a compact block. Two transactions share
// one with a probability of 2⁻⁴⁸, and the block's salt keeps others from
// preparing such pairs.
type ShortID [shortIDSize]byte

func (id ShortID) String() string { return hex.EncodeToString(id[:]) }

// ShortIDOf is the low six bytes, low byte first, of SipHash-2-4 of the id
// under the salt, whose halves are the little-endian key words.
func ShortIDOf(salt Salt, id TxID) ShortID {
	k0, k1 := saltKey(salt)
	return shortID(k0, k1, id)
}

// ShortIDs returns the short id of each id, in order.
func ShortIDs(salt Salt, ids []TxID) []ShortID {
	k0, k1 := saltKey(salt)
	short := make([]ShortID, len(ids))
	for i, id := range ids {
		short[i] = shortID(k0, k1, id)
	}
	return short
}

func saltKey(salt Salt) (k0, k1 uint64) {
	return binary.LittleEndian.Uint64(salt[:8]), binary.LittleEndian.Uint64(salt[8:])
}

func shortID(k0, k1 uint64, id TxID) (short ShortID) {
	var sum [8]byte
	binary.LittleEndian.PutUint64(sum[:], siphash.Hash(k0, k1, id[:]))
	copy(short[:], sum[:])
	return short
}

// ShortIDsHash is what a header signs of the list in its compact form:
// SHA-256 over a domain and the ids one after the other.
func ShortIDsHash(ids []ShortID) (sum Hash) {
	h := sha256.New()
	h.Write([]byte(shortIDsDomain))
	for i := range ids {
		h.Write(ids[i][:])
	}
	h.Sum(sum[:0])
	return sum
}
