package dial

import (
	"encoding/binary"

	"github.com/dchest/siphash"
)

// Sizes of the tables. Bitcoin Core has 1024 buckets of new and 256 of tried
// addresses, 64 slots in each, for a network of 10^5 addresses; what protects is
// not the size but the share of the buckets that one group can reach: 64 of 1024
// by source in new, 8 of 256 by address in tried. A quarter of the buckets with
// the same shares is enough for 10^4 peers, and full it takes some 5 MB.
const (
	freshBuckets = 256
	freshSpread  = 16 // buckets that one source group reaches
	triedBuckets = 64
	triedSpread  = 2 // buckets that the addresses of one group reach
	slots        = 64
)

// Key is the secret that decides which address competes with which for a place.
// Who does not know it cannot aim.
type Key [16]byte

// hash is SipHash-2-4 of a tag, which keeps uses apart, and parts of known size.
func (k Key) hash(tag byte, parts ...[]byte) uint64 {
	buf := make([]byte, 0, 64)
	buf = append(buf, tag)
	for _, p := range parts {
		buf = append(buf, byte(len(p)))
		buf = append(buf, p...)
	}
	return siphash.Hash(binary.LittleEndian.Uint64(k[:8]), binary.LittleEndian.Uint64(k[8:]), buf)
}

// freshPlace is where an address belongs that somebody of the source group told
// us of. The peer id is free to choose, and so is not asked for.
func (k Key) freshPlace(a Address, source Group) int {
	from := groupBytes(source)
	nth := k.hash('s', groupBytes(GroupOf(a.At.Addr())), from) % freshSpread
	bucket := k.hash('n', from, []byte{byte(nth)}) % freshBuckets
	return int(bucket)*slots + k.slot('N', bucket, a)
}

// triedPlace is where an address belongs that answered.
func (k Key) triedPlace(a Address) int {
	nth := k.hash('a', spot(a)) % triedSpread
	bucket := k.hash('t', groupBytes(GroupOf(a.At.Addr())), []byte{byte(nth)}) % triedBuckets
	return int(bucket)*slots + k.slot('T', bucket, a)
}

func (k Key) slot(tag byte, bucket uint64, a Address) int {
	return int(k.hash(tag, []byte{byte(bucket), byte(bucket >> 8)}, spot(a)) % slots)
}

func groupBytes(g Group) []byte {
	b := g.Addr().AsSlice()
	return b[:g.Bits()/8]
}

// spot is a without the peer: what is reached there, whoever answers.
func spot(a Address) []byte {
	b := binary.BigEndian.AppendUint16(a.At.Addr().AsSlice(), a.At.Port())
	return append(b, byte(a.Over))
}
