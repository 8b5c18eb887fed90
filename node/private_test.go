package node_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

func (r *running) private(tx *wire.Transaction) api.TxStatus {
	r.t.Helper()
	s, err := r.Backend().SubmitPrivately(r.t.Context(), tx.Bytes())
	require.NoError(r.t, err)
	return s
}

// A private transaction is published by the peer that it was handed to, and
// reaches a block like any other; what follows it can be sent before it is public.
func TestPrivateTransactionsReachABlock(t *testing.T) {
	producers := keys(1)
	g := genesisOf("private", producers...)
	far := start(t, configOf(t, newHome(t, g, producers[0]), vfs.NewMem()))
	cfg := configOf(t, newHome(t, g, nil), vfs.NewMem())
	cfg.Bootstrap = []string{far.addr()}
	n := start(t, cfg)
	var txs []*wire.Transaction
	for nonce := range uint64(5) {
		tx := payment(g, 0, nonce)
		s := n.private(tx)
		require.True(t, s.Local)
		require.False(t, s.State.Ended())
		account, err := n.Backend().Account(t.Context(), keyfile.Address(keyOf("wallet", 0)))
		require.NoError(t, err)
		require.EqualValues(t, nonce+1, account.NextNonce)
		txs = append(txs, tx)
	}
	eventually(t, "all in blocks", func() bool { return n.settled(txs) && far.settled(txs) })
}

// Until it is public, a private transaction is nowhere but on this node's disk.
func TestPrivateIsKeptOutOfThePool(t *testing.T) {
	g := genesisOf("kept", keys(1)...)
	disk := crashdisk.New()
	cfg := configOf(t, newHome(t, g, nil), disk)
	n := start(t, cfg)
	guest := configOf(t, newHome(t, g, nil), vfs.NewMem())
	guest.Bootstrap = []string{n.addr()}
	other := start(t, guest) // dialled us, and so is no relay of ours
	eventually(t, "a peer", func() bool {
		peers, err := n.Backend().Peers(t.Context())
		return err == nil && len(peers) == 1
	})
	tx := payment(g, 0, 0)
	require.Equal(t, api.Accepted, n.private(tx).State)
	require.NotEmpty(t, n.private(tx).Reason, "the same bytes again")
	require.Equal(t, api.Accepted, n.submit(tx).State, "and openly")
	pool, err := n.Backend().Mempool(t.Context())
	require.NoError(t, err)
	require.Zero(t, pool.Count)
	require.Equal(t, api.Unknown, other.state(tx.ID()))

	// What is refused openly is refused here, too.
	poor := wire.SignTx(g.ID(), keyOf("wallet", 1), &wire.TxBody{
		Version: wire.TxVersion, Sender: keyfile.Address(keyOf("wallet", 1)), Fee: 1_000,
		To: keyfile.Address(keyOf("wallet", 2)), Amount: 1 << 60,
	})
	_, err = n.Backend().SubmitPrivately(t.Context(), poor.Bytes())
	require.ErrorIs(t, err, validation.Overdraft)
	_, err = n.Backend().SubmitPrivately(t.Context(), tx.Bytes()[:20])
	require.Error(t, err)

	// It was accepted, and so it outlives a crash. Then it is as public as all others.
	crashed := disk.Crash(vfs.CrashCloneCfg{})
	require.NoError(t, n.end())
	cfg.FS = crashed
	cfg.Bootstrap = []string{other.addr()}
	again := start(t, cfg)
	require.Equal(t, api.Pending, again.state(tx.ID()))
	eventually(t, "announcement", func() bool { return other.state(tx.ID()) == api.Pending })
}
