package member

import (
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// Bounds of frames.
const (
	MaxFrame     = 64 << 10 // bytes of a frame
	MaxRecord    = 2 << 10  // bytes of a signed record: libp2p's with some ten addresses
	MaxPeerID    = 64       // bytes of a peer id, as in package dial
	MaxSignature = 128      // bytes of a signature; Ed25519 has 64

	maxRecords     = 96   // records in a frame
	maxAccusations = 32   // accusations in a frame
	maxRequests    = 16   // of each other kind in a frame
	maxEntries     = 1024 // entries of a digest, and ids wanted
	maxFields      = 256  // fields in all, so that empty ones cost nothing
)

// Malformed says what is wrong with bytes that are not a frame.
type Malformed string

const (
	TooLarge    Malformed = "over its limit"
	NotProtobuf Malformed = "not protobuf"
	WrongLength Malformed = "wrong length"
	Missing     Malformed = "a required field is missing"
)

func (m Malformed) Error() string { return "member: " + string(m) }

// frame is what goes over the line at once: any number of parts, most of the
// time one. It is a protobuf message; unknown fields are skipped, so that
// versions can differ. Numbers of the fields stand beside them.
type frame struct {
	pings    []uint64     // 1: nonces to be acknowledged
	acks     []uint64     // 2: nonces acknowledged
	requests []request    // 3: to probe a peer for the sender
	relayed  []relayed    // 4: a probe for another
	signed   []signedAck  // 5: its answer
	nacks    []uint64     // 6: nonces of requests that cannot be served
	accuse   []accusation // 7
	records  [][]byte     // 8
	syn      []uint64     // 9: sums by bucket, 8 bytes each; buckets of them or none
	mask     uint64       // 10: the buckets that entries is complete for
	entries  []entry      // 11: id and sequence number, 16 bytes each
	wanted   []shortID    // 12: 8 bytes each
}

// request asks to probe target, of which the sender has version seq.
type request struct {
	nonce  uint64
	target peerscore.PeerID
	seq    uint64
}

// relayed is a probe on behalf of prober.
type relayed struct {
	nonce  uint64
	prober peerscore.PeerID
}

func (f *frame) appendTo(dst []byte) []byte {
	for _, n := range f.pings {
		dst = appendNonce(dst, 1, n)
	}
	for _, n := range f.acks {
		dst = appendNonce(dst, 2, n)
	}
	for _, r := range f.requests {
		sub := appendPeer(appendNonce(nil, 1, r.nonce), 2, r.target)
		dst = appendBytes(dst, 3, appendVarint(sub, 3, r.seq))
	}
	for _, r := range f.relayed {
		dst = appendBytes(dst, 4, appendPeer(appendNonce(nil, 1, r.nonce), 2, r.prober))
	}
	for _, a := range f.signed {
		sub := appendPeer(appendPeer(appendNonce(nil, 1, a.nonce), 2, a.prober), 3, a.target)
		dst = appendBytes(dst, 5, appendBytes(appendVarint(sub, 4, a.seq), 5, a.signature))
	}
	for _, n := range f.nacks {
		dst = appendNonce(dst, 6, n)
	}
	for _, a := range f.accuse {
		sub := appendPeer(appendVarint(appendPeer(nil, 1, a.suspect), 2, a.seq), 3, a.accuser)
		dst = appendBytes(dst, 7, appendBytes(sub, 4, a.signature))
	}
	for _, r := range f.records {
		dst = appendBytes(dst, 8, r)
	}
	if len(f.syn) > 0 {
		sub := make([]byte, 0, 8*buckets)
		for _, sum := range f.syn {
			sub = binary.BigEndian.AppendUint64(sub, sum)
		}
		dst = appendBytes(dst, 9, sub)
	}
	if f.mask != 0 {
		dst = appendVarint(dst, 10, f.mask)
	}
	if len(f.entries) > 0 {
		sub := make([]byte, 0, 16*len(f.entries))
		for _, e := range f.entries {
			sub = binary.BigEndian.AppendUint64(append(sub, e.id[:]...), e.seq)
		}
		dst = appendBytes(dst, 11, sub)
	}
	if len(f.wanted) > 0 {
		sub := make([]byte, 0, 8*len(f.wanted))
		for _, id := range f.wanted {
			sub = append(sub, id[:]...)
		}
		dst = appendBytes(dst, 12, sub)
	}
	return dst
}

func appendNonce(dst []byte, num protowire.Number, n uint64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(dst, num, protowire.Fixed64Type), n)
}

func appendVarint(dst []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, num, protowire.VarintType), v)
}

func appendBytes(dst []byte, num protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, num, protowire.BytesType), b)
}

func appendPeer(dst []byte, num protowire.Number, p peerscore.PeerID) []byte {
	return appendBytes(dst, num, []byte(p))
}

// decodeFrame reads a frame. It keeps slices of b.
func decodeFrame(b []byte) (*frame, error) {
	if len(b) > MaxFrame {
		return nil, fmt.Errorf("decode member frame of %d bytes: %w", len(b), TooLarge)
	}
	f := new(frame)
	err := fields(b, func(v value) error {
		switch v.num {
		case 1:
			return one(&f.pings, maxRequests, v, value.nonce)
		case 2:
			return one(&f.acks, maxRequests, v, value.nonce)
		case 3:
			return one(&f.requests, maxRequests, v, value.request)
		case 4:
			return one(&f.relayed, maxRequests, v, value.relayed)
		case 5:
			return one(&f.signed, maxRequests, v, value.signedAck)
		case 6:
			return one(&f.nacks, maxRequests, v, value.nonce)
		case 7:
			return one(&f.accuse, maxAccusations, v, value.accusation)
		case 8:
			return one(&f.records, maxRecords, v, func(v value) ([]byte, error) { return v.bytes(1, MaxRecord) })
		case 9:
			return f.decodeSyn(v)
		case 10:
			mask, err := v.varint()
			f.mask = mask % (1 << buckets)
			return err
		case 11:
			return f.decodeEntries(v)
		case 12:
			return f.decodeWanted(v)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("decode member frame: %w", err)
	}
	return f, nil
}

func (f *frame) decodeSyn(v value) error {
	b, err := v.bytes(8*buckets, 8*buckets)
	f.syn = nil
	for ; len(b) > 0; b = b[8:] {
		f.syn = append(f.syn, binary.BigEndian.Uint64(b))
	}
	return err
}

func (f *frame) decodeEntries(v value) error {
	b, err := v.bytes(0, 16*maxEntries)
	if err == nil && len(b)%16 != 0 {
		return WrongLength
	}
	f.entries = make([]entry, 0, len(b)/16)
	for ; len(b) > 0; b = b[16:] {
		f.entries = append(f.entries, entry{shortID(b[:8]), binary.BigEndian.Uint64(b[8:])})
	}
	return err
}

func (f *frame) decodeWanted(v value) error {
	b, err := v.bytes(0, 8*maxEntries)
	if err == nil && len(b)%8 != 0 {
		return WrongLength
	}
	f.wanted = make([]shortID, 0, len(b)/8)
	for ; len(b) > 0; b = b[8:] {
		f.wanted = append(f.wanted, shortID(b[:8]))
	}
	return err
}

// one reads one more element of a list.
func one[T any](list *[]T, limit int, v value, read func(value) (T, error)) error {
	if len(*list) >= limit {
		return TooLarge
	}
	x, err := read(v)
	if err == nil {
		*list = append(*list, x)
	}
	return err
}

// value is one field with what it holds: number for both numeric types.
type value struct {
	num    protowire.Number
	typ    protowire.Type
	number uint64
	span   []byte
}

// fields calls each with every field of a message.
func fields(b []byte, each func(value) error) error {
	for count := 0; len(b) > 0; count++ {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return NotProtobuf
		}
		b = b[n:]
		v := value{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			v.number, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			v.number, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			v.span, n = protowire.ConsumeBytes(b)
		case protowire.Fixed32Type:
			_, n = protowire.ConsumeFixed32(b)
		default: // groups nest without bound and nobody writes them
			return NotProtobuf
		}
		if n < 0 {
			return NotProtobuf
		}
		if count >= maxFields {
			return TooLarge
		}
		if err := each(v); err != nil {
			return fmt.Errorf("field %d: %w", num, err)
		}
		b = b[n:]
	}
	return nil
}

func (v value) want(t protowire.Type) error {
	if v.typ != t {
		return NotProtobuf
	}
	return nil
}

func (v value) nonce() (uint64, error)  { return v.number, v.want(protowire.Fixed64Type) }
func (v value) varint() (uint64, error) { return v.number, v.want(protowire.VarintType) }

func (v value) bytes(least, most int) ([]byte, error) {
	if err := v.want(protowire.BytesType); err != nil {
		return nil, err
	}
	if len(v.span) < least || len(v.span) > most {
		return nil, WrongLength
	}
	return v.span, nil
}

func (v value) peer() (peerscore.PeerID, error) {
	b, err := v.bytes(1, MaxPeerID)
	return peerscore.PeerID(b), err
}

// message hands out the fields of an embedded message.
func (v value) message(field func(value) error) error {
	b, err := v.bytes(1, MaxFrame)
	if err != nil {
		return err
	}
	return fields(b, field)
}

func (v value) request() (r request, err error) {
	err = v.message(func(v value) (err error) {
		switch v.num {
		case 1:
			r.nonce, err = v.nonce()
		case 2:
			r.target, err = v.peer()
		case 3:
			r.seq, err = v.varint()
		}
		return err
	})
	if err == nil && r.target == "" {
		err = Missing
	}
	return r, err
}

func (v value) relayed() (r relayed, err error) {
	err = v.message(func(v value) (err error) {
		switch v.num {
		case 1:
			r.nonce, err = v.nonce()
		case 2:
			r.prober, err = v.peer()
		}
		return err
	})
	if err == nil && r.prober == "" {
		err = Missing
	}
	return r, err
}

func (v value) signedAck() (a signedAck, err error) {
	err = v.message(func(v value) (err error) {
		switch v.num {
		case 1:
			a.nonce, err = v.nonce()
		case 2:
			a.prober, err = v.peer()
		case 3:
			a.target, err = v.peer()
		case 4:
			a.seq, err = v.varint()
		case 5:
			a.signature, err = v.bytes(1, MaxSignature)
		}
		return err
	})
	if err == nil && (a.prober == "" || a.target == "" || a.signature == nil) {
		err = Missing
	}
	return a, err
}

func (v value) accusation() (a accusation, err error) {
	err = v.message(func(v value) (err error) {
		switch v.num {
		case 1:
			a.suspect, err = v.peer()
		case 2:
			a.seq, err = v.varint()
		case 3:
			a.accuser, err = v.peer()
		case 4:
			a.signature, err = v.bytes(1, MaxSignature)
		}
		return err
	})
	if err == nil && (a.suspect == "" || a.accuser == "" || a.signature == nil) {
		err = Missing
	}
	return a, err
}
