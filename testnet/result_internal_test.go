package testnet

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/wire"
)

// chainOf is a best chain of given blocks, from height 1.
type chainOf []*wire.Block

func (c chainOf) TxStatus(context.Context, wire.TxID) (api.TxStatus, error) { panic("not asked") }

func (c chainOf) Account(context.Context, wire.Address) (api.Account, error) { panic("not asked") }

func (c chainOf) ProducerFaults(context.Context) ([]api.ProducerFault, error) { panic("not asked") }

func (c chainOf) Evidence(context.Context) ([]api.Equivocation, error) { panic("not asked") }

func (c chainOf) BlockByID(context.Context, wire.BlockID) (api.StoredBlock, error) {
	panic("not asked")
}

func (c chainOf) Head(context.Context) (api.Head, error) {
	return api.Head{Head: api.Ref{Height: uint64(len(c))}}, nil
}

func (c chainOf) BlockAt(_ context.Context, height uint64) (api.StoredBlock, error) {
	return api.StoredBlock{Block: c[height-1], Best: true}, nil
}

func TestLackingIsWhatNoBlockHolds(t *testing.T) {
	var txs []*wire.Transaction
	var ids []wire.TxID
	for i := range 5 {
		tx := wire.NewTransaction([]byte{byte(i)}, wire.Signature{})
		txs, ids = append(txs, tx), append(ids, tx.ID())
	}
	chain := chainOf{{Txs: txs[1:3]}, {}, {Txs: txs[3:4]}}
	lost, err := lacking(t.Context(), chain, append([]wire.TxID(nil), ids...))
	require.NoError(t, err)
	require.Equal(t, []wire.TxID{ids[0], ids[4]}, lost)

	lost, err = lacking(t.Context(), chain, ids[1:4])
	require.NoError(t, err)
	require.Empty(t, lost)
}
