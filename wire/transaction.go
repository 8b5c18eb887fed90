package wire

import (
	"bytes"
	"crypto/ed25519"
)

// TxVersion is the version of TxBody that this package knows.
const TxVersion = 1

// Transaction is a signed body in its envelope, immutable and safe to share
// between goroutines. What the body means is up to the application; for the
// built-in one see TxBody.
type Transaction struct {
	raw  []byte // ends with the signature
	body []byte // part of raw
	id   TxID
}

// DecodeTransaction checks the envelope, not the body. It keeps b: the caller
// must not change it.
func DecodeTransaction(b []byte) (*Transaction, error) {
	t := &Transaction{raw: b}
	r := canonicalReader("transaction", b, MaxTx)
	for r.next() {
		switch r.num {
		case 1:
			t.body = r.bytes("body", MaxTx)
		case 2:
			var sig Signature
			r.fixed("signature", sig[:])
		default:
			r.skip()
		}
	}
	r.require(1, "body")
	r.require(2, "signature")
	if r.err != nil {
		return nil, r.err
	}
	t.id = TxIDOf(b)
	return t, nil
}

// NewTransaction puts a body and its signature into the envelope. It copies
// the body. An empty body makes a transaction that nobody decodes.
func NewTransaction(body []byte, sig Signature) *Transaction {
	raw := make([]byte, 0, nestedSize(len(body))+nestedSize(len(sig)))
	raw = appendBytes(raw, 1, body)
	end := len(raw)
	raw = appendAlways(raw, 2, sig[:])
	return &Transaction{raw: raw, body: raw[end-len(body) : end : end], id: TxIDOf(raw)}
}

// SignTx encodes and signs a body, which must be complete: nothing is filled in.
func SignTx(network NetworkID, key ed25519.PrivateKey, body *TxBody) *Transaction {
	b := body.AppendTo(nil)
	return NewTransaction(b, sign(txDomain, network, key, b))
}

// Bytes is the transaction as carried. The caller must not change it.
func (t *Transaction) Bytes() []byte { return t.raw }

// Body is what the signature covers. The caller must not change it.
func (t *Transaction) Body() []byte { return t.body }

// Signature is the signature as carried; nothing has been verified.
func (t *Transaction) Signature() Signature { return Signature(t.signature()) }

func (t *Transaction) signature() []byte { return t.raw[len(t.raw)-len(Signature{}):] }

// ID is the hash of every byte as carried, signature included: a mutated copy
// has another id.
func (t *Transaction) ID() TxID { return t.id }

// Size is the number of bytes as carried.
func (t *Transaction) Size() int { return len(t.raw) }

// Clone returns the same transaction in memory of its own, for who keeps one
// transaction of a large block.
func (t *Transaction) Clone() *Transaction {
	c := *t
	c.raw = bytes.Clone(t.raw)
	end := len(c.raw) - nestedSize(len(Signature{}))
	c.body = c.raw[end-len(t.body) : end : end]
	return &c
}

// TxBody is a body of the built-in application: a transfer, a payload or both.
type TxBody struct {
	Version   uint32  // TxVersion
	Sender    Address // whose signature the transaction bears
	Nonce     uint64  // the sender's transactions count from 0, without gaps
	Fee       uint64  // smallest units, paid to the block's fee recipient
	ExpiresAt uint64  // unix milliseconds; 0 is never
	To        Address // zero (absent on the wire) is no transfer
	Amount    uint64  // smallest units
	Payload   []byte  // carried, not interpreted
}

// DecodeTxBody is the strict inverse of AppendTo. Payload is a slice of b. A
// body of another version is UnknownVersion, whatever else is in it.
func DecodeTxBody(b []byte) (*TxBody, error) {
	body := new(TxBody)
	r := canonicalReader("transaction body", b, MaxTx)
	for r.next() {
		switch r.num {
		case 1:
			body.Version = r.version(TxVersion)
		case 2:
			r.fixed("sender", body.Sender[:])
		case 3:
			body.Nonce = r.uint64("nonce")
		case 4:
			body.Fee = r.uint64("fee")
		case 5:
			body.ExpiresAt = r.uint64("expires_at")
		case 6:
			r.optional("to", body.To[:])
		case 7:
			body.Amount = r.uint64("amount")
		case 8:
			body.Payload = r.bytes("payload", MaxTx)
		default:
			r.skip()
		}
	}
	r.require(1, "version")
	r.require(2, "sender")
	if r.err != nil {
		return nil, r.err
	}
	return body, nil
}

// AppendTo appends the canonical form.
func (b *TxBody) AppendTo(dst []byte) []byte {
	dst = appendUint(dst, 1, uint64(b.Version))
	dst = appendAlways(dst, 2, b.Sender[:])
	dst = appendUint(dst, 3, b.Nonce)
	dst = appendUint(dst, 4, b.Fee)
	dst = appendUint(dst, 5, b.ExpiresAt)
	dst = appendOptional(dst, 6, b.To[:])
	dst = appendUint(dst, 7, b.Amount)
	return appendBytes(dst, 8, b.Payload)
}
