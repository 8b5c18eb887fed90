package compact

import (
	"encoding/binary"
	"maps"

	"github.com/dchest/siphash"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Known says which transactions the other end of a link is known to have: it sent
// them, announced them, was sent them, or said so in a reconciliation. An answer of
// false costs the bytes of a transaction, one of true that is wrong a round trip.
type Known interface {
	Known(link peerscore.PeerID, id wire.TxID) bool
	// Common says that nothing speaks for others to lack a transaction, though none may be
	// known to have it: it is not from here alone, and not of this moment. It is not sent
	// unasked.
	Common(id wire.TxID) bool
}

// KnownSet is a bounded Known for a set of links. Each link has two generations of
// transactions, the younger of which becomes the older one when it is full, so that it
// remembers the last n to 2n. It is for one goroutine.
type KnownSet struct {
	k0, k1 uint64 // constant
	n      int
	links  int

	of map[peerscore.PeerID]*generations
}

// generations hold 8 bytes of each id, keyed, so that nobody can prepare transactions
// that look alike: 40 links of 16,384 take some 25 MB when all are full.
type generations struct{ young, old map[uint64]struct{} }

// NewKnownSet returns an empty set for up to so many links, each of which remembers at
// least the last n transactions. The key has to be secret.
func NewKnownSet(key [16]byte, links, n int) *KnownSet {
	return &KnownSet{
		k0: binary.LittleEndian.Uint64(key[:8]), k1: binary.LittleEndian.Uint64(key[8:]), n: max(n, 1), links: links,
		of: make(map[peerscore.PeerID]*generations),
	}
}

// Note records that the other end of a link has a transaction. Links beyond the bound
// are not remembered.
func (s *KnownSet) Note(link peerscore.PeerID, id wire.TxID) {
	g, ok := s.of[link]
	if !ok {
		if len(s.of) >= s.links {
			return
		}
		g = &generations{young: make(map[uint64]struct{})}
		s.of[link] = g
	}
	h := siphash.Hash(s.k0, s.k1, id[:])
	if _, known := g.young[h]; known {
		return
	}
	if len(g.young) >= s.n {
		g.young, g.old = make(map[uint64]struct{}, s.n), g.young
	}
	g.young[h] = struct{}{}
}

// Known implements Known. A false answer in truth is as likely as 2⁻⁶⁴ for each
// transaction remembered.
func (s *KnownSet) Known(link peerscore.PeerID, id wire.TxID) bool {
	g, ok := s.of[link]
	if !ok {
		return false
	}
	h := siphash.Hash(s.k0, s.k1, id[:])
	if _, known := g.young[h]; known {
		return true
	}
	_, known := g.old[h]
	return known
}

// Common implements Known: the set knows nothing of others.
func (s *KnownSet) Common(wire.TxID) bool { return false }

// Drop forgets a link.
func (s *KnownSet) Drop(link peerscore.PeerID) { delete(s.of, link) }

// Keep forgets all links but those that stay. What is noted of a link that was dropped
// would otherwise keep its place.
func (s *KnownSet) Keep(stays func(peerscore.PeerID) bool) {
	maps.DeleteFunc(s.of, func(link peerscore.PeerID, _ *generations) bool { return !stays(link) })
}
