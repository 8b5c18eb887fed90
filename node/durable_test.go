package node_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

func TestARestartedNodeCatchesUp(t *testing.T) {
	producers := keys(2)
	g := genesisOf("restart", producers...)
	a := start(t, configOf(t, newHome(t, g, producers[0]), vfs.NewMem()))
	cfg := configOf(t, newHome(t, g, nil), vfs.NewMem())
	cfg.Bootstrap = []string{a.addr()}
	b := start(t, cfg)
	eventually(t, "a first block", func() bool { return b.head().Height > 0 })
	require.NoError(t, b.end())

	before := a.head().Height
	var txs []*wire.Transaction
	for nonce := range uint64(10) {
		txs = append(txs, payment(g, 0, nonce))
		a.submit(txs[nonce])
	}
	eventually(t, "blocks without it", func() bool { return a.settled(txs) && a.head().Height > before+2 })
	b = start(t, cfg)
	eventually(t, "what it missed", func() bool { return b.settled(txs) })
}

// TestAcceptedTransactionsSurviveAKill cuts the power while wallets submit. The
// disk keeps what was synced and nothing else.
//
// R19: durable before the sender is told, announced again after a restart.
func TestAcceptedTransactionsSurviveAKill(t *testing.T) {
	g := genesisOf("kill", keys(1)...)
	disk := crashdisk.New()
	cfg := configOf(t, newHome(t, g, nil), disk) // no producer: they stay in the pool
	n := start(t, cfg)

	var accepted [wallets]atomic.Uint64
	var writers sync.WaitGroup
	const each = 100
	for i := range wallets {
		writers.Go(func() {
			for nonce := range uint64(each) {
				if _, err := n.Backend().Submit(t.Context(), payment(g, i, nonce).Bytes()); err != nil {
					t.Errorf("submit: %v", err)
				}
				accepted[i].Store(nonce + 1)
			}
		})
	}
	eventually(t, "some progress", func() bool { return accepted[0].Load() > each/3 })
	var atLeast [wallets]uint64
	for i := range atLeast {
		atLeast[i] = accepted[i].Load()
	}
	crashed := disk.Crash(vfs.CrashCloneCfg{})
	writers.Wait()
	require.NoError(t, n.end())

	cfg.FS = crashed
	again := start(t, cfg)
	for i, count := range atLeast {
		for nonce := range count {
			require.Equal(t, api.Pending, again.state(payment(g, i, nonce).ID()), "wallet %d, nonce %d was accepted", i, nonce)
		}
	}
	// And they are announced again: a node that joins now hears of them.
	listener := configOf(t, newHome(t, g, nil), vfs.NewMem())
	listener.Bootstrap = []string{again.addr()}
	other := start(t, listener)
	eventually(t, "announcement", func() bool { return other.state(payment(g, 0, 0).ID()) == api.Pending })
}

// TestAKillInABurstLosesNothingAnywhere kills the node that takes a long burst
// of one sender, and goes on with it right after the restart: what was lost on
// the way to the peers must reach them before what is new.
func TestAKillInABurstLosesNothingAnywhere(t *testing.T) {
	producers := keys(1)
	g := genesisOf("burst", producers...)
	far := start(t, configOf(t, newHome(t, g, producers[0]), vfs.NewMem()))
	disk := crashdisk.New()
	cfg := configOf(t, newHome(t, g, nil), disk)
	cfg.Bootstrap = []string{far.addr()}
	n := start(t, cfg)

	const burst, killedAt = 1500, 700
	var txs []*wire.Transaction
	for nonce := range uint64(burst) {
		txs = append(txs, payment(g, 0, nonce))
	}
	for _, tx := range txs[:killedAt] {
		n.submit(tx)
	}
	crashed := disk.Crash(vfs.CrashCloneCfg{})
	require.NoError(t, n.end())

	cfg.FS = crashed
	n = start(t, cfg)
	for _, tx := range txs[killedAt:] {
		n.submit(tx)
	}
	eventually(t, "everything in blocks, far away", func() bool { return far.settled(txs) })
}

// TestWhatIsSubmittedBeforeTheNetworkIsThereIsAnnouncedLater: the backend works
// from New on.
func TestWhatIsSubmittedBeforeTheNetworkIsThereIsAnnouncedLater(t *testing.T) {
	g := genesisOf("early", keys(1)...)
	other := start(t, configOf(t, newHome(t, g, nil), vfs.NewMem()))
	cfg := configOf(t, newHome(t, g, nil), vfs.NewMem())
	cfg.Bootstrap = []string{other.addr()}
	n, err := node.New(cfg)
	require.NoError(t, err)
	tx := payment(g, 0, 0)
	_, err = n.Backend().Submit(t.Context(), tx.Bytes())
	require.NoError(t, err)
	launch(t, n)
	eventually(t, "announcement", func() bool { return other.state(tx.ID()) == api.Pending })
}

func TestTheSameBytesGetTheSameAnswer(t *testing.T) {
	producers := keys(1)
	g := genesisOf("idempotent", producers...)
	fs := vfs.NewMem()
	cfg := configOf(t, newHome(t, g, nil), fs)
	n := start(t, cfg)
	tx, ahead := payment(g, 0, 0), payment(g, 0, 2)
	for range 3 {
		require.Equal(t, api.Pending, n.submit(tx).State)
		require.Equal(t, api.Accepted, n.submit(ahead).State, "it waits for nonce 1")
	}
	richer := wire.SignTx(g.ID(), keyOf("wallet", 1), &wire.TxBody{Version: 1, Sender: wire.Address(keyOf("wallet", 1)[32:]), Fee: 50_000})
	cheap := payment(g, 1, 0)
	n.submit(cheap)
	n.submit(richer)
	s := n.submit(cheap)
	require.Equal(t, api.Replaced, s.State)
	require.Equal(t, richer.ID(), *s.By)
	require.NoError(t, n.end())

	cfg = configOf(t, cfg.Home, fs)
	cfg.ProducerKey = producerFile(t, producers[0])
	n = start(t, cfg)
	eventually(t, "inclusion", func() bool { return n.settled([]*wire.Transaction{tx, richer}) })
	require.Contains(t, []api.State{api.Included, api.Final}, n.submit(tx).State)
	require.Equal(t, api.Replaced, n.submit(cheap).State, "also after a restart and another's inclusion")
	require.Equal(t, api.Accepted, n.submit(ahead).State)

	_, err := n.Backend().Submit(t.Context(), payment(g, 0, 0).Bytes()[:20])
	require.Error(t, err)
	stale := wire.SignTx(g.ID(), keyOf("wallet", 0), &wire.TxBody{Version: 1, Sender: wire.Address(keyOf("wallet", 0)[32:]), Fee: 2_000})
	_, err = n.Backend().Submit(t.Context(), stale.Bytes())
	require.ErrorIs(t, err, validation.StaleNonce)
}
