package member

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// Record is what a signed peer record says.
type Record struct {
	Peer   peerscore.PeerID // up to MaxPeerID bytes
	Seq    uint64           // version, SWIM's incarnation: unix nanoseconds
	Group  netip.Prefix     // of the first address, as in package dial; zero if it has none
	Sealed []byte           // the record as signed, up to MaxRecord bytes
}

// Records reads and makes signed peer records.
type Records interface {
	// Parse reads a record without checking who signed it.
	Parse(sealed []byte) (Record, error)
	// Verify checks that the peer that a record names has signed it.
	Verify(sealed []byte) error
	// Seal returns our own record, signed, with a sequence number of at least seq, and of at
	// least the time in unix nanoseconds: others go by that.
	Seal(seq uint64) (Record, error)
}

// Signer signs with the key of our identity, and checks what others signed with
// theirs.
type Signer interface {
	Sign(message []byte) ([]byte, error) // up to MaxSignature bytes
	Verify(by peerscore.PeerID, message, signature []byte) bool
}

// accusation says that accuser got no answer from the version seq of suspect.
type accusation struct {
	suspect   peerscore.PeerID
	seq       uint64
	accuser   peerscore.PeerID
	signature []byte
}

// signedAck says that target answered the nonce of prober while its record had
// the sequence number.
type signedAck struct {
	nonce     uint64
	prober    peerscore.PeerID
	target    peerscore.PeerID
	seq       uint64
	signature []byte
}

// What signatures are over begins with what it is for, so that none serves for
// another.
const (
	ackDomain    = "grapevine/member/ack/1"
	accuseDomain = "grapevine/member/accuse/1"
)

// message is what target signs.
func (a signedAck) message(network [32]byte) []byte {
	b := appendID(append([]byte(ackDomain), network[:]...), a.prober)
	b = binary.BigEndian.AppendUint64(b, a.nonce)
	return binary.BigEndian.AppendUint64(b, a.seq)
}

// message is what accuser signs.
func (a accusation) message(network [32]byte) []byte {
	b := appendID(append([]byte(accuseDomain), network[:]...), a.suspect)
	return binary.BigEndian.AppendUint64(b, a.seq)
}

func appendID(dst []byte, p peerscore.PeerID) []byte {
	return append(append(dst, byte(len(p))), p...)
}

// shortID stands for a peer in digests. It is a cryptographic hash: nobody can
// make an identity that hides another.
type shortID [8]byte

func shortOf(p peerscore.PeerID) shortID {
	sum := sha256.Sum256([]byte(p))
	return shortID(sum[:8])
}

// entry is one member in a digest.
type entry struct {
	id  shortID
	seq uint64
}

// hash stands for e in the sum of its bucket.
func (e entry) hash() uint64 {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(e.id[:len(e.id):len(e.id)], e.seq))
	return binary.BigEndian.Uint64(sum[:8])
}

// buckets is how many parts the view has in a digest: enough that a few new
// records do not bring the whole view on the line, few enough that a digest of
// equal views is a small packet.
const buckets = 16

func (id shortID) bucket() int { return int(id[0]) % buckets }
