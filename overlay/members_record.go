package overlay

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/grapevine-p2p/grapevine/overlay/dial"
	swim "github.com/grapevine-p2p/grapevine/overlay/member"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

const (
	// maxRecordAddrs is how many addresses a record has at the most.
	maxRecordAddrs = 16
	// maxRecordAddrBytes is what ours may weigh together, so that a record keeps within
	// its bound with envelope, key and signature.
	maxRecordAddrBytes = swim.MaxRecord - 512
)

// RecordError says what is wrong with bytes that are no signed record of a peer. Its text is
// a short machine code.
type RecordError string

const (
	// RecordShape: not an envelope with a peer record, or one with fields twice.
	RecordShape RecordError = "record_shape"
	// RecordCrowded: more addresses than a record may have.
	RecordCrowded RecordError = "record_crowded"
	// RecordKey: not of the Ed25519 identity that it names.
	RecordKey RecordError = "record_key"
	// RecordSignature: not signed by whom it names.
	RecordSignature RecordError = "record_signature"
)

func (e RecordError) Error() string { return "overlay: member record: " + string(e) }

// signedRecord is a libp2p envelope with a peer record, taken apart. Its slices are those of
// the bytes that it was read from.
type signedRecord struct {
	peer               peer.ID
	seq                uint64
	addrs              [][]byte // as they stand there
	key, kind, payload []byte
	mark               []byte // the signature
}

// identityPrefix begins the peer id of an Ed25519 identity: the multihash of 36 bytes as they
// are, which are the key in libp2p's protobuf form. What follows is the key.
var identityPrefix = []byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}

// keyOf is the key of an Ed25519 identity.
func keyOf(p peer.ID) (ed25519.PublicKey, bool) {
	key, ok := bytes.CutPrefix([]byte(p), identityPrefix)
	return key, ok && len(key) == ed25519.PublicKeySize
}

// readRecord takes a record apart, whoever signed it. libp2p's own reader makes all addresses
// before anybody can count them, and refuses a record for an address of a kind that it does
// not know, which a newer node may have.
func readRecord(b []byte) (r signedRecord, err error) {
	if len(b) > swim.MaxRecord {
		return r, RecordShape
	}
	once := single{}
	err = fields(b, func(num protowire.Number, typ protowire.Type, value []byte) error {
		if typ != protowire.BytesType || !once.first(num) {
			return RecordShape
		}
		switch num {
		case 1:
			r.key = value
		case 2:
			r.kind = value
		case 3:
			r.payload = value
		case 5:
			r.mark = value
		default:
			return RecordShape
		}
		return nil
	})
	if err != nil || !bytes.Equal(r.kind, peer.PeerRecordEnvelopePayloadType) {
		return r, RecordShape
	}
	if err := r.readPayload(); err != nil {
		return r, err
	}
	if _, ok := keyOf(r.peer); !ok || string(r.key) != string(r.peer[2:]) {
		return r, RecordKey
	}
	return r, nil
}

// readPayload reads the peer record of an envelope.
func (r *signedRecord) readPayload() error {
	once := single{}
	for b := r.payload; len(b) > 0; {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return RecordShape
		}
		b = b[n:]
		var value []byte
		var number uint64
		switch typ {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		default:
			return RecordShape
		}
		if n < 0 {
			return RecordShape
		}
		b = b[n:]
		switch {
		case num == 1 && typ == protowire.BytesType && once.first(num):
			r.peer = peer.ID(value)
		case num == 2 && typ == protowire.VarintType && once.first(num):
			r.seq = number
		case num == 3 && typ == protowire.BytesType:
			if len(r.addrs) >= maxRecordAddrs {
				return RecordCrowded
			}
			if err := r.readAddr(value); err != nil {
				return err
			}
		default:
			return RecordShape
		}
	}
	return nil
}

// readAddr reads one address of a peer record, a message whose field 1 it is.
func (r *signedRecord) readAddr(b []byte) error {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 || num != 1 || typ != protowire.BytesType {
		return RecordShape
	}
	addr, m := protowire.ConsumeBytes(b[n:])
	if m < 0 || n+m != len(b) {
		return RecordShape
	}
	r.addrs = append(r.addrs, addr)
	return nil
}

// single says of a field number whether it is the first of its kind.
type single [8]bool

func (s *single) first(num protowire.Number) bool {
	if num < 0 || int(num) >= len(s) || s[num] {
		return false
	}
	s[num] = true
	return true
}

// verify checks the signature, which is over domain, kind and payload, each after its length
// (RFC 0002 of libp2p).
func (r signedRecord) verify() error {
	key, ok := keyOf(r.peer)
	if !ok {
		return RecordKey
	}
	var signed []byte
	for _, part := range [][]byte{[]byte(peer.PeerRecordEnvelopeDomain), r.kind, r.payload} {
		signed = append(binary.AppendUvarint(signed, uint64(len(part))), part...)
	}
	if !ed25519.Verify(key, signed, r.mark) {
		return RecordSignature
	}
	return nil
}

// known are the addresses whose kinds this node knows.
func (r signedRecord) known() (out []multiaddr.Multiaddr) {
	for _, b := range r.addrs {
		if a, err := multiaddr.NewMultiaddrBytes(b); err == nil {
			out = append(out, a)
		}
	}
	return out
}

// notary makes and checks what members sign: it is the Records and the Signer of package
// member. Safe for concurrent use.
type notary struct {
	self  peer.ID
	key   crypto.PrivKey
	addrs func() []multiaddr.Multiaddr
}

// errNoIdentity says that the host has no key that a member could sign with.
var errNoIdentity = errors.New("overlay: membership needs a host with an Ed25519 identity")

func newNotary(self peer.ID, key crypto.PrivKey, addrs func() []multiaddr.Multiaddr) (*notary, error) {
	if _, ok := keyOf(self); !ok || key == nil {
		return nil, errNoIdentity
	}
	return &notary{self, key, addrs}, nil
}

// Parse implements member.Records.
func (*notary) Parse(sealed []byte) (swim.Record, error) {
	r, err := readRecord(sealed)
	if err != nil {
		return swim.Record{}, err
	}
	return swim.Record{Peer: peerscore.PeerID(r.peer), Seq: r.seq, Group: firstGroup(r.known()), Sealed: sealed}, nil
}

// firstGroup is the group of the first address that has one.
func firstGroup(addrs []multiaddr.Multiaddr) (group netip.Prefix) {
	for _, a := range addrs {
		ip, err := manet.ToIP(a)
		if err != nil {
			continue
		}
		if addr, ok := netip.AddrFromSlice(ip); ok {
			return dial.GroupOf(addr)
		}
	}
	return group
}

// Verify implements member.Records.
func (*notary) Verify(sealed []byte) error {
	r, err := readRecord(sealed)
	if err != nil {
		return err
	}
	return r.verify()
}

// Seal implements member.Records.
func (n *notary) Seal(seq uint64) (swim.Record, error) {
	rec := peer.NewPeerRecord()
	rec.PeerID, rec.Seq, rec.Addrs = n.self, max(seq, uint64(max(0, time.Now().UnixNano()))), n.addrs()
	envelope, err := record.Seal(rec, n.key)
	if err != nil {
		return swim.Record{}, fmt.Errorf("overlay: seal own record: %w", err)
	}
	sealed, err := envelope.Marshal()
	if err != nil {
		return swim.Record{}, fmt.Errorf("overlay: seal own record: %w", err)
	}
	return n.Parse(sealed)
}

// signer is a notary as the Signer of package member.
type signer struct{ *notary }

// Sign implements member.Signer.
func (s signer) Sign(message []byte) ([]byte, error) { return s.key.Sign(message) }

// Verify implements member.Signer.
func (s signer) Verify(by peerscore.PeerID, message, signature []byte) bool {
	key, ok := keyOf(peer.ID(by))
	return ok && ed25519.Verify(key, message, signature)
}

// ownAddrs are those of our addresses that are worth telling: the public ones, or if there
// are none (a node at home, a testnet) all, within the bounds of a record, in one order.
func ownAddrs(all []multiaddr.Multiaddr) []multiaddr.Multiaddr {
	out := slices.DeleteFunc(slices.Clone(all), func(a multiaddr.Multiaddr) bool { return !manet.IsPublicAddr(a) })
	if len(out) == 0 {
		out = slices.Clone(all)
	}
	slices.SortFunc(out, func(a, b multiaddr.Multiaddr) int { return bytes.Compare(a.Bytes(), b.Bytes()) })
	size := 0
	for i, a := range out {
		if size += len(a.Bytes()) + 8; i >= maxRecordAddrs || size > maxRecordAddrBytes {
			return out[:i]
		}
	}
	return out
}
