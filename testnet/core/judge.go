package core

import (
	"context"
	"fmt"
	"time"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// judge checks each message once for the whole network: what a Checker mints
// is immutable, and what it says without an application's state is the same
// everywhere. What depends on a node's state is that node's to say.
type judge struct {
	checker *validation.Checker
	txs     map[ID]verdict[validation.CheckedTx]
	blocks  map[ID]verdict[validation.CheckedBlock]
}

type verdict[T any] struct {
	checked T
	err     error
}

// stateless is the ledger without its state.
type stateless struct{ *ledger.Ledger }

func (stateless) CheckTxs(_ context.Context, _ time.Time, txs []validation.CheckedTx) []error {
	return make([]error, len(txs))
}

func (stateless) CheckHeader(context.Context, time.Time, *wire.HeaderBody, validation.Road) error {
	return nil
}

func newJudge(g *wire.Genesis) (*judge, error) {
	l, err := ledger.New(g, bodies{})
	if err != nil {
		return nil, err
	}
	c, err := validation.NewChecker(g, stateless{l})
	if err != nil {
		return nil, err
	}
	return &judge{
		checker: c,
		txs:     make(map[ID]verdict[validation.CheckedTx]),
		blocks:  make(map[ID]verdict[validation.CheckedBlock]),
	}, nil
}

// tx says whether a transaction is sound.
func (j *judge) tx(m *Message) (validation.CheckedTx, error) {
	v, ok := j.txs[m.ID]
	if !ok {
		v.checked, v.err = j.checker.Sound(m.Data)
		j.txs[m.ID] = v
	}
	return v.checked, v.err
}

// block says whether a block is sound, its place in the chain aside.
func (j *judge) block(m *Message) (validation.CheckedBlock, error) {
	v, ok := j.blocks[m.ID]
	if !ok {
		v.checked, v.err = j.decode(m.Data)
		j.blocks[m.ID] = v
	}
	return v.checked, v.err
}

func (j *judge) decode(data []byte) (validation.CheckedBlock, error) {
	b, err := wire.DecodeBlock(data)
	if err != nil {
		return validation.CheckedBlock{}, fmt.Errorf("%w: block: %w", validation.BadEncoding, err)
	}
	parts := make([]validation.Part, len(b.Txs))
	for i, tx := range b.Txs {
		parts[i].Tx = tx
	}
	return j.seal(b.Header, parts)
}

// seal checks a header and the body that goes with it.
func (j *judge) seal(header *wire.Header, parts []validation.Part) (validation.CheckedBlock, error) {
	h, err := j.checker.Header(context.Background(), time.Time{}, header, validation.Sync)
	if err != nil {
		return validation.CheckedBlock{}, err
	}
	return j.checker.Block(h, parts)
}

// bodies holds blocks by id, as a ledger wants to find them.
type bodies map[wire.BlockID]kept

// kept is a block as a node holds it.
type kept struct {
	block   validation.CheckedBlock
	message *Message
}

// Block implements ledger.Blocks.
func (b bodies) Block(id wire.BlockID) (*wire.Block, error) {
	k, ok := b[id]
	if !ok {
		return nil, fmt.Errorf("no block %s", id)
	}
	return k.block.Block(), nil
}
