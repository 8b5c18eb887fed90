package ledger_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// numbered is an unsigned block on parent, one of very many. The way by which
// stored blocks come back spares their signatures.
func numbered(g *wire.Genesis, n uint32, parent *wire.Block, slot uint64, txs ...*wire.Transaction) *wire.Block {
	h := headerOn(g, parent, slot, txs...)
	h.App = binary.BigEndian.AppendUint32(nil, n)
	return &wire.Block{Header: wire.NewHeader(h, wire.Signature{}), Txs: txs}
}

func (c *chain) addStored(b *wire.Block) error {
	checked, err := c.checker.Stored(b)
	c.require.NoError(err)
	change, err := c.ledger.Prepare(checked)
	if err == nil {
		c.store.blocks[b.ID()] = b
		c.ledger.Apply(change)
	}
	return err
}

// TestSideBlocksAreBounded: a producer that signs without end cannot fill the
// memory, and a branch that comes late can still win.
func TestSideBlocksAreBounded(t *testing.T) {
	g := testGenesis(2)
	c := newChain(t, g)
	var main *wire.Block
	for i := range uint64(6) {
		main = numbered(g, 0, main, 2*i+2)
		require.NoError(t, c.addStored(main))
	}
	for i := range uint32(ledger.MaxSide + 50) {
		require.NoError(t, c.addStored(numbered(g, i+1, nil, 4)))
	}
	require.Len(t, c.ledger.Save().Tree, 6+ledger.MaxSide)

	var late *wire.Block
	for i := range uint64(7) {
		late = numbered(g, 0, late, 2*i+5) // at first the weakest of all
		require.NoError(t, c.addStored(late), "block %d of the late branch", i+1)
	}
	require.Equal(t, late.ID(), c.ledger.Head().ID)
}

func TestMemoryOfInvalidBlocksIsBounded(t *testing.T) {
	g := testGenesis(2)
	c := newChain(t, g)
	overdraft := pay(g, 0, 0, wallet(1), wealth, 500)
	invalid := func(n uint32) *wire.Block { return numbered(g, n, nil, 1, overdraft) }
	for n := range uint32(ledger.MaxInvalid + 1) {
		require.ErrorIs(t, c.addStored(invalid(n)), validation.BadBlock)
	}
	require.ErrorIs(t, c.addStored(invalid(1)), validation.KnownInvalid)
	require.ErrorIs(t, c.addStored(numbered(g, 0, invalid(1), 2)), validation.KnownInvalid, "its child too")
	require.ErrorIs(t, c.addStored(invalid(0)), validation.BadBlock, "forgotten, and found again")
}
