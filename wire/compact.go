package wire

import "google.golang.org/protobuf/encoding/protowire"

// CompactBlock is a block as the block topic carries it: the header and a
// short id for each transaction, in order.
type CompactBlock struct {
	Header   *Header
	ShortIDs []ShortID
}

// Compact returns the compact form of a block.
func Compact(b *Block) *CompactBlock {
	return &CompactBlock{Header: b.Header, ShortIDs: ShortIDs(b.Header.body.Salt, b.TxIDs())}
}

// DecodeCompactBlock keeps b: the caller must not change it. Whether the list
// is the one that the header signs is not checked.
func DecodeCompactBlock(b []byte) (*CompactBlock, error) {
	c := new(CompactBlock)
	r := canonicalReader("compact block", b, MaxCompactBlock)
	for r.next() {
		switch r.num {
		case 1:
			c.Header = r.header("header")
		case 2:
			c.ShortIDs = r.shortIDs("short_ids")
		default:
			r.skip()
		}
	}
	r.require(1, "header")
	if r.err != nil {
		return nil, r.err
	}
	return c, nil
}

// shortIDs takes a list that is carried as one bytes field.
func (r *reader) shortIDs(field string) []ShortID {
	b := r.bytes(field, MaxBlockTxs*shortIDSize)
	if r.err != nil {
		return nil
	}
	if len(b)%shortIDSize != 0 {
		r.fail(field, WrongLength)
		return nil
	}
	ids := make([]ShortID, len(b)/shortIDSize)
	for i := range ids {
		ids[i] = ShortID(b[i*shortIDSize:])
	}
	return ids
}

// AppendTo appends the canonical form.
func (c *CompactBlock) AppendTo(dst []byte) []byte {
	dst = appendAlways(dst, 1, c.Header.raw)
	if len(c.ShortIDs) == 0 {
		return dst
	}
	dst = protowire.AppendTag(dst, 2, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(len(c.ShortIDs)*shortIDSize))
	for _, id := range c.ShortIDs {
		dst = append(dst, id[:]...)
	}
	return dst
}
