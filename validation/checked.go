package validation

import "github.com/grapevine-p2p/grapevine/wire"

// CheckedTx is a transaction whose bytes, terms and signature are sound. Only a
// [Checker] can make one; the zero value is no transaction. It is immutable and
// small enough to pass by value.
type CheckedTx struct {
	tx    *wire.Transaction
	terms TxTerms
}

// IsZero reports whether there is no transaction.
func (t CheckedTx) IsZero() bool { return t.tx == nil }

// Tx returns the transaction, nil for the zero value.
func (t CheckedTx) Tx() *wire.Transaction { return t.tx }

// ID returns the transaction's id, which is all zeros for the zero value.
func (t CheckedTx) ID() wire.TxID {
	if t.tx == nil {
		return wire.TxID{}
	}
	return t.tx.ID()
}

// Terms returns what the body says.
func (t CheckedTx) Terms() TxTerms { return t.terms }

// Size returns the size of the transaction as carried, in bytes.
func (t CheckedTx) Size() int {
	if t.tx == nil {
		return 0
	}
	return t.tx.Size()
}

// Claim returns what the transaction says of itself.
func (t CheckedTx) Claim() Claim { return Claim{ID: t.ID(), Size: t.Size(), Terms: t.terms} }

// Clone returns the same transaction in memory of its own, for who keeps it
// longer than the block or the frame that it came in.
func (t CheckedTx) Clone() CheckedTx {
	if t.tx != nil {
		t.tx = t.tx.Clone()
	}
	return t
}

// CheckedHeader is a header that is signed by the producer whose turn it is and
// that the application takes as a child of a block it knows. It says nothing of
// the body. Only a [Checker] can make one; the zero value is no header.
type CheckedHeader struct {
	header *wire.Header
	id     wire.BlockID
}

// IsZero reports whether there is no header.
func (h CheckedHeader) IsZero() bool { return h.header == nil }

// Header returns the header, nil for the zero value.
func (h CheckedHeader) Header() *wire.Header { return h.header }

// ID returns the id of the block.
func (h CheckedHeader) ID() wire.BlockID { return h.id }

// Body returns the header's body, to read only, or nil for the zero value.
func (h CheckedHeader) Body() *wire.HeaderBody {
	if h.header == nil {
		return nil
	}
	return h.header.Body()
}

// CheckedBlock is a block whose header is checked and whose transactions are
// sound and are the ones that the header signs. Whether they apply in their
// order is the application's to find out. Only a [Checker] can make one; the
// zero value is no block.
type CheckedBlock struct {
	header CheckedHeader
	txs    []CheckedTx
	block  *wire.Block
}

// IsZero reports whether there is no block.
func (b CheckedBlock) IsZero() bool { return b.block == nil }

// Header returns the checked header.
func (b CheckedBlock) Header() CheckedHeader { return b.header }

// ID returns the id of the block.
func (b CheckedBlock) ID() wire.BlockID { return b.header.id }

// Txs returns the transactions in the order of the block, to read only.
func (b CheckedBlock) Txs() []CheckedTx { return b.txs }

// Block returns the block as it is stored and sent, to read only, or nil for
// the zero value.
func (b CheckedBlock) Block() *wire.Block { return b.block }
