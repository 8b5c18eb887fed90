package compact

import (
	"bytes"
	"fmt"

	"github.com/klauspost/reedsolomon"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Coded is the body of a block as chunks with proofs. It is immutable.
type Coded struct {
	layout Layout
	chunks [][]byte
	tree   *tree
}

// Encode cuts and codes the body of a block of the layout's size. It takes about 10 ms
// for 1 MiB and memory of its own for all chunks. An error is a mistake of the caller:
// transactions of another size than the layout says.
func Encode(l Layout, txs []*wire.Transaction) (*Coded, error) {
	size := 0
	for _, tx := range txs {
		size += tx.Size()
	}
	if size != l.Size || l.Data < 1 || l.Parity < 1 || l.Data*l.Chunk < l.Size {
		return nil, fmt.Errorf("compact: encode %d bytes: the layout is %+v", size, l)
	}
	all := make([]byte, l.Total()*l.Chunk)
	at := 0
	for _, tx := range txs {
		at += copy(all[at:], tx.Bytes())
	}
	c := &Coded{layout: l, chunks: make([][]byte, l.Total())}
	for i := range c.chunks {
		c.chunks[i] = all[i*l.Chunk : (i+1)*l.Chunk : (i+1)*l.Chunk]
	}
	code, err := newCode(l)
	if err != nil {
		return nil, err
	}
	if err := code.Encode(c.chunks); err != nil {
		return nil, fmt.Errorf("compact: encode: %w", err)
	}
	c.tree = newTree(c.chunks)
	return c, nil
}

// Root is what the header signs of the chunks.
func (c *Coded) Root() wire.Hash { return c.tree.root() }

// Layout says how the body was cut.
func (c *Coded) Layout() Layout { return c.layout }

// Describe writes the chunk fields of a header that is yet to be signed.
func (c *Coded) Describe(h *wire.HeaderBody) {
	h.ChunkRoot = c.Root()
	h.ChunkData, h.ChunkParity = uint32(c.layout.Data), uint32(c.layout.Parity)
}

// piece is a chunk that proves.
type piece struct {
	data  []byte
	proof []wire.Hash
}

func (c *Coded) piece(i int) piece { return piece{c.chunks[i], c.tree.proof(i)} }

// newCode makes the code of a layout. It works in the caller's goroutine, and its matrix
// is a function of the numbers alone, so that all nodes get the same parity.
func newCode(l Layout) (reedsolomon.Encoder, error) {
	code, err := reedsolomon.New(l.Data, l.Parity, reedsolomon.WithMaxGoroutines(1), reedsolomon.WithInversionCache(false))
	if err != nil {
		return nil, fmt.Errorf("compact: code of %d and %d chunks: %w", l.Data, l.Parity, err)
	}
	return code, nil
}

// decode puts the transactions together from at least Data chunks, each of which has
// proved; nil stands for one that is not there, and is filled in where it is data. The chunks of
// data are slices of the body afterwards, as the transactions are, so that it is in memory once.
// An error that is BadCoding means that the producer signed chunks of no body.
func decode(l Layout, count int, chunks [][]byte) ([]*wire.Transaction, error) {
	code, err := newCode(l)
	if err != nil {
		return nil, err
	}
	if err := code.ReconstructData(chunks); err != nil {
		return nil, fmt.Errorf("compact: reconstruct: %w", err)
	}
	body := bytes.Join(chunks[:l.Data], nil)
	for i := range l.Data {
		chunks[i] = body[i*l.Chunk : (i+1)*l.Chunk : (i+1)*l.Chunk]
	}
	for _, b := range body[l.Size:] {
		if b != 0 {
			return nil, fmt.Errorf("%w: padding is not zero", BadCoding)
		}
	}
	return cut(body[:l.Size:l.Size], count)
}

// sealed is what follows the body in the envelope of a transaction before the signature:
// its tag and length.
const (
	bodyTag   = 1<<3 | 2
	sealTag   = 2<<3 | 2
	sealSize  = len(wire.Signature{})
	sealBytes = 1 + 1 + sealSize
)

// cut finds the transactions in a body: each has one byte form, which says where it ends.
func cut(body []byte, count int) ([]*wire.Transaction, error) {
	txs := make([]*wire.Transaction, 0, min(count, wire.MaxBlockTxs, len(body)/wire.MinTx))
	for len(body) > 0 {
		n := envelope(body)
		if n == 0 {
			return nil, fmt.Errorf("%w: no transaction at %d bytes from the end", BadCoding, len(body))
		}
		tx, err := wire.DecodeTransaction(body[:n:n])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", BadCoding, err)
		}
		if len(txs) == count {
			return nil, fmt.Errorf("%w: more than %d transactions", BadCoding, count)
		}
		txs = append(txs, tx)
		body = body[n:]
	}
	if len(txs) != count {
		return nil, fmt.Errorf("%w: %d transactions of %d", BadCoding, len(txs), count)
	}
	return txs, nil
}

// envelope is the size of the transaction that b begins with, 0 if it begins with none.
func envelope(b []byte) int {
	if len(b) < wire.MinTx || b[0] != bodyTag {
		return 0
	}
	size, n := protowire.ConsumeVarint(b[1:])
	if n < 0 || size > wire.MaxTx {
		return 0
	}
	seal := 1 + n + int(size)
	if end := seal + sealBytes; end <= len(b) && b[seal] == sealTag && int(b[seal+1]) == sealSize {
		return end
	}
	return 0
}
