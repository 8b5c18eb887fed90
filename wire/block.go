package wire

// Block is a header with the transactions it signs, in order.
type Block struct {
	Header *Header
	Txs    []*Transaction
}

// DecodeBlock decodes the header and every envelope. It keeps b: the caller
// must not change it. Whether header and transactions belong together is not
// checked.
func DecodeBlock(b []byte) (*Block, error) {
	block := new(Block)
	r := canonicalReader("block", b, MaxBlock)
	for r.next() {
		switch r.num {
		case 1:
			block.Header = r.header("header")
		case 2:
			raw := r.element("txs", len(block.Txs), MaxBlockTxs, MinTx, MaxTx)
			if r.err != nil {
				break
			}
			tx, err := DecodeTransaction(raw)
			if err != nil {
				r.fail("txs", err)
				break
			}
			block.Txs = append(block.Txs, tx)
		default:
			r.skip()
		}
	}
	r.require(1, "header")
	if r.err != nil {
		return nil, r.err
	}
	return block, nil
}

// header takes a singular nested header.
func (r *reader) header(field string) *Header {
	b := r.bytes(field, MaxHeader)
	if r.err != nil {
		return nil
	}
	h, err := DecodeHeader(b)
	if err != nil {
		r.fail(field, err)
	}
	return h
}

// AppendTo appends the canonical form.
func (b *Block) AppendTo(dst []byte) []byte {
	dst = appendAlways(dst, 1, b.Header.raw)
	for _, tx := range b.Txs {
		dst = appendAlways(dst, 2, tx.raw)
	}
	return dst
}

// Size is the number of bytes that AppendTo appends.
func (b *Block) Size() int {
	n := nestedSize(len(b.Header.raw))
	for _, tx := range b.Txs {
		n += nestedSize(len(tx.raw))
	}
	return n
}

// ID is the header's.
func (b *Block) ID() BlockID { return b.Header.id }

// TxIDs returns the ids of the transactions, in order.
func (b *Block) TxIDs() []TxID {
	ids := make([]TxID, len(b.Txs))
	for i, tx := range b.Txs {
		ids[i] = tx.id
	}
	return ids
}
