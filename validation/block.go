package validation

import (
	"errors"
	"fmt"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Part is one transaction of a block's body: Checked where it was checked
// before (then nothing of it is verified again), Tx otherwise.
type Part struct {
	Checked CheckedTx
	Tx      *wire.Transaction
}

func (p Part) tx() *wire.Transaction {
	if !p.Checked.IsZero() {
		return p.Checked.tx
	}
	return p.Tx
}

// Block joins a checked header and the transactions that are said to be its
// body. BadTxRoot: the header signs another body, which is the fault of whoever
// supplied all of this one (nobody's, if it was put together from short ids,
// which can collide). BadBlock: the header signs this body and it is invalid,
// which is the fault of the producer.
func (c *Checker) Block(h CheckedHeader, parts []Part) (CheckedBlock, error) {
	block, err := assemble(h, parts)
	if err != nil {
		return CheckedBlock{}, err
	}
	if err := signedBody(block, int(c.genesis.Limits.MaxBlockBytes)); err != nil {
		return CheckedBlock{}, err
	}
	txs, err := c.blockTxs(h, parts)
	if err != nil {
		return CheckedBlock{}, err
	}
	return CheckedBlock{header: h, txs: txs, block: block}, nil
}

// Stored rebuilds the CheckedBlock of a block that this node checked before it
// stored it: signatures, limits and time are not looked at again, the roots
// are. An error means that the store is damaged and blames nobody.
func (c *Checker) Stored(b *wire.Block) (CheckedBlock, error) {
	h := CheckedHeader{header: b.Header, id: b.ID()}
	txs := make([]CheckedTx, len(b.Txs))
	for i, tx := range b.Txs {
		terms, err := c.app.describeTx(tx)
		if err != nil {
			return CheckedBlock{}, storedError(h.id, err)
		}
		txs[i] = CheckedTx{tx: tx, terms: terms}
	}
	if err := signedBody(b, wire.MaxBlock); err != nil {
		return CheckedBlock{}, storedError(h.id, err)
	}
	return CheckedBlock{header: h, txs: txs, block: b}, nil
}

func storedError(id wire.BlockID, err error) error {
	return fmt.Errorf("%w: stored block %s: %v", Unavailable, id, err) //nolint:errorlint // our disk is no peer's Fault
}

func assemble(h CheckedHeader, parts []Part) (*wire.Block, error) {
	if h.IsZero() {
		return nil, errors.New("validation: block: the header is not checked")
	}
	block := &wire.Block{Header: h.header, Txs: make([]*wire.Transaction, len(parts))}
	for i, part := range parts {
		if block.Txs[i] = part.tx(); block.Txs[i] == nil {
			return nil, fmt.Errorf("validation: block %s: part %d is empty", h.id, i)
		}
	}
	return block, nil
}

// signedBody checks that the transactions of b are the ones that its header
// signs, then that what the header says of them is so and that the whole block
// has no more than limit bytes.
func signedBody(b *wire.Block, limit int) error {
	h := b.Header.Body()
	ids := make([]wire.TxID, len(b.Txs))
	seen := make(map[wire.TxID]struct{}, len(b.Txs))
	size := uint64(0)
	for i, tx := range b.Txs {
		ids[i] = tx.ID()
		seen[ids[i]] = struct{}{}
		size += uint64(tx.Size())
	}
	id := b.ID()
	switch {
	case wire.TxRoot(ids) != h.TxRoot:
		return fmt.Errorf("%w: block %s", BadTxRoot, id)
	case len(ids) != int(h.TxCount):
		return fmt.Errorf("%w: block %s: %d transactions, header says %d", BadBlock, id, len(ids), h.TxCount)
	case len(seen) != len(ids):
		return fmt.Errorf("%w: block %s: a transaction twice", BadBlock, id)
	case size != uint64(h.Size):
		return fmt.Errorf("%w: block %s: %d bytes of transactions, header says %d", BadBlock, id, size, h.Size)
	case b.Size() > limit:
		return fmt.Errorf("%w: block %s: %d bytes whole, want at most %d", BadBlock, id, b.Size(), limit)
	case wire.ShortIDsHash(wire.ShortIDs(h.Salt, ids)) != h.ShortIDsHash:
		return fmt.Errorf("%w: block %s: short ids of other transactions", BadBlock, id)
	}
	return nil
}

// blockTxs checks the parts of a body that the header signs.
func (c *Checker) blockTxs(h CheckedHeader, parts []Part) ([]CheckedTx, error) {
	txs := make([]CheckedTx, len(parts))
	batch := wire.NewTxBatch(c.network, len(parts))
	var unverified []int
	for i, part := range parts {
		tx := part.Checked
		if tx.IsZero() {
			var err error
			if tx, err = c.describe(part.Tx); err != nil {
				return nil, inBlock(h.id, i, err)
			}
			batch.Add(tx.terms.Sender, tx.tx)
			unverified = append(unverified, i)
		}
		if tx.terms.ExpiredAt(h.Body().Time) {
			return nil, inBlock(h.id, i, Expired)
		}
		txs[i] = tx
	}
	if len(unverified) == 0 {
		return txs, nil
	}
	for k, ok := range batch.Verify() {
		if !ok {
			return nil, inBlock(h.id, unverified[k], BadSignature)
		}
	}
	return txs, nil
}

// inBlock says what the failure of transaction i means for its block. A
// transaction that we cannot judge leaves the block unjudged; any other failure
// is the producer's, and its own name is shown but not wrapped.
func inBlock(id wire.BlockID, i int, err error) error {
	if errors.Is(err, Unavailable) || errors.Is(err, UnknownVersion) {
		return fmt.Errorf("block %s: transaction %d: %w", id, i, err)
	}
	return fmt.Errorf("%w: block %s: transaction %d: %v", BadBlock, id, i, err) //nolint:errorlint // see above
}
