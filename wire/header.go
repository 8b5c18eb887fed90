package wire

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
)

// HeaderVersion is the version of HeaderBody that this package knows.
const HeaderVersion = 1

// Header is a signed header body in its envelope, immutable and safe to share
// between goroutines.
type Header struct {
	raw       []byte
	bodyBytes []byte // part of raw
	body      HeaderBody
	sig       Signature
	id        BlockID
}

// HeaderBody is what a producer signs of a block. Its wire order is the order
// of the fields here.
type HeaderBody struct {
	Version      uint32 // HeaderVersion
	Height       uint64 // the first block has 1
	Parent       BlockID
	Producer     Address // whose signature the header bears
	FeeRecipient Address
	Slot         uint64
	Time         uint64 // unix milliseconds, inside the slot
	TxRoot       Hash   // TxRoot of the transactions' ids
	TxCount      uint32
	Size         uint32 // sum of the sizes of the transactions as carried
	Salt         Salt   // keys the short ids
	ShortIDsHash Hash   // ShortIDsHash of the list in compact form
	ChunkRoot    Hash   // zero (absent on the wire) without chunks
	ChunkData    uint32
	ChunkParity  uint32
	App          []byte // for the embedding chain, up to MaxHeaderApp
}

// DecodeHeader decodes the envelope and the body. It keeps b: the caller must
// not change it. A body of another version is UnknownVersion, whatever else
// is in it.
func DecodeHeader(b []byte) (*Header, error) {
	h := &Header{raw: b}
	r := canonicalReader("header", b, MaxHeader)
	for r.next() {
		switch r.num {
		case 1:
			h.bodyBytes = r.bytes("body", MaxHeader)
		case 2:
			r.fixed("signature", h.sig[:])
		default:
			r.skip()
		}
	}
	r.require(1, "body")
	r.require(2, "signature")
	if r.err != nil {
		return nil, r.err
	}
	if err := h.body.decode(h.bodyBytes); err != nil {
		return nil, err
	}
	h.id = sha256.Sum256(b)
	return h, nil
}

// NewHeader puts a body and its signature into the envelope. It copies the
// body.
func NewHeader(body *HeaderBody, sig Signature) *Header {
	return sealHeader(body, body.AppendTo(nil), sig)
}

// SignHeader encodes and signs a body, which must be complete: nothing is
// filled in.
func SignHeader(network NetworkID, key ed25519.PrivateKey, body *HeaderBody) *Header {
	b := body.AppendTo(nil)
	return sealHeader(body, b, sign(headerDomain, network, key, b))
}

func sealHeader(body *HeaderBody, encoded []byte, sig Signature) *Header {
	raw := make([]byte, 0, nestedSize(len(encoded))+nestedSize(len(sig)))
	raw = appendBytes(raw, 1, encoded)
	end := len(raw)
	raw = appendAlways(raw, 2, sig[:])
	h := &Header{raw: raw, bodyBytes: raw[end-len(encoded) : end : end], body: *body, sig: sig, id: sha256.Sum256(raw)}
	h.body.App = bytes.Clone(body.App)
	return h
}

// Bytes is the header as carried. The caller must not change it.
func (h *Header) Bytes() []byte { return h.raw }

// Body is what the header says. The caller must not change it.
func (h *Header) Body() *HeaderBody { return &h.body }

// Signature is the signature as carried; nothing has been verified.
func (h *Header) Signature() Signature { return h.sig }

// ID is the hash of every byte as carried, and the id of the block.
func (h *Header) ID() BlockID { return h.id }

// Size is the number of bytes as carried.
func (h *Header) Size() int { return len(h.raw) }

func (b *HeaderBody) decode(in []byte) error {
	r := canonicalReader("header body", in, MaxHeader)
	for r.next() {
		switch r.num {
		case 1:
			b.Version = r.version(HeaderVersion)
		case 2:
			b.Height = r.uint64("height")
		case 3:
			r.fixed("parent", b.Parent[:])
		case 4:
			r.fixed("producer", b.Producer[:])
		case 5:
			r.fixed("fee_recipient", b.FeeRecipient[:])
		case 6:
			b.Slot = r.uint64("slot")
		case 7:
			b.Time = r.uint64("time")
		case 8:
			r.fixed("tx_root", b.TxRoot[:])
		case 9:
			b.TxCount = r.uint32("tx_count")
		case 10:
			b.Size = r.uint32("size")
		case 11:
			r.fixed("salt", b.Salt[:])
		case 12:
			r.fixed("short_ids_hash", b.ShortIDsHash[:])
		case 13:
			r.optional("chunk_root", b.ChunkRoot[:])
		case 14:
			b.ChunkData = r.uint32("chunk_data")
		case 15:
			b.ChunkParity = r.uint32("chunk_parity")
		case 16:
			b.App = r.bytes("app", MaxHeaderApp)
		default:
			r.skip()
		}
	}
	r.require(1, "version")
	r.require(3, "parent")
	r.require(4, "producer")
	r.require(5, "fee_recipient")
	r.require(8, "tx_root")
	r.require(11, "salt")
	r.require(12, "short_ids_hash")
	return r.err
}

// AppendTo appends the canonical form.
func (b *HeaderBody) AppendTo(dst []byte) []byte {
	dst = appendUint(dst, 1, uint64(b.Version))
	dst = appendUint(dst, 2, b.Height)
	dst = appendAlways(dst, 3, b.Parent[:])
	dst = appendAlways(dst, 4, b.Producer[:])
	dst = appendAlways(dst, 5, b.FeeRecipient[:])
	dst = appendUint(dst, 6, b.Slot)
	dst = appendUint(dst, 7, b.Time)
	dst = appendAlways(dst, 8, b.TxRoot[:])
	dst = appendUint(dst, 9, uint64(b.TxCount))
	dst = appendUint(dst, 10, uint64(b.Size))
	dst = appendAlways(dst, 11, b.Salt[:])
	dst = appendAlways(dst, 12, b.ShortIDsHash[:])
	dst = appendOptional(dst, 13, b.ChunkRoot[:])
	dst = appendUint(dst, 14, uint64(b.ChunkData))
	dst = appendUint(dst, 15, uint64(b.ChunkParity))
	return appendBytes(dst, 16, b.App)
}
