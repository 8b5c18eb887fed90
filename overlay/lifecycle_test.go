package overlay_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

func TestRunLeavesNothingBehind(t *testing.T) {
	g, c := testGenesis("leak"), newClock()
	before := goleak.IgnoreCurrent()
	ha, hb := newHost(t), newHost(t)
	protocols := len(ha.Mux().Protocols())

	a := startOn(t, ha, newChain(t, g, c))
	a.grow(30, "wallet 1", 0)
	b := startOn(t, hb, newChain(t, g, c), bootstrap(a), func(c *overlay.Config) {
		// One that is never reached, so that a dial is going on at the end.
		c.Bootstrap = append(c.Bootstrap, peer.AddrInfo{ID: newID(t), Addrs: ha.Addrs()[:1]})
	})
	meshed(t, a, b)
	a.submit(transfer(g, "wallet 0", 0))
	eventually(t, func() bool { return b.chain.pooled() == 1 }, "delivered")
	a.stop()
	b.stop()
	require.Len(t, ha.Mux().Protocols(), protocols, "handlers are taken away")
	require.True(t, connectedEither(ha, hb), "the hosts are not the overlay's to close")
	// pubsub does not say when its last goroutine has ended, only that it will.
	eventually(t, func() bool { return len(ours()) == 0 }, "every goroutine ends")
	require.NoError(t, ha.Close())
	require.NoError(t, hb.Close())
	goleak.VerifyNone(t, before)
}

func connectedEither(a, b host.Host) bool { return connected(a, b) || connected(b, a) }

// ours lists the goroutines that run code of the overlay or of pubsub.
func ours() (stacks []string) {
	buf := make([]byte, 16<<20)
	for _, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, "grapevine/overlay.") || strings.Contains(stack, "go-libp2p-pubsub") {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

func newID(t *testing.T) peer.ID {
	t.Helper()
	h := newHost(t)
	defer h.Close()
	return h.ID()
}

func TestRunOnce(t *testing.T) {
	g, c := testGenesis("once"), newClock()
	n := start(t, g, c)
	require.Error(t, n.Run(t.Context()))
}

func TestRunEndsAtOnceWithADeadContext(t *testing.T) {
	g, c := testGenesis("dead"), newClock()
	ch := newChain(t, g, c)
	checker, err := validation.NewChecker(g, ch)
	require.NoError(t, err)
	cfg := overlay.DefaultConfig()
	cfg.Host, cfg.Genesis, cfg.Checker, cfg.Chain, cfg.Pool = newHost(t), g, checker, ch, ch
	o, err := overlay.New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, o.Run(ctx))
	require.Empty(t, o.Peers())
}

func TestConfigIsRefusedWithEveryReason(t *testing.T) {
	cfg := overlay.DefaultConfig()
	cfg.Gossip.D = 1
	cfg.Limits.MaxGuests = 0
	cfg.Agent = string(make([]byte, 65))
	_, err := overlay.New(cfg)
	for _, reason := range []string{"Host", "Genesis", "Checker", "Chain", "Pool", "D is 1", "MaxGuests", "Agent"} {
		require.ErrorContains(t, err, reason)
	}
	require.NoError(t, overlay.DefaultLimits().Validate())
	require.NoError(t, overlay.DefaultGossip().Validate())
}

// A transaction that nobody could hear is not lost.
func TestTransactionsWaitForAFirstPeer(t *testing.T) {
	g, c := testGenesis("alone"), newClock()
	a := start(t, g, c)
	var txs []*wire.Transaction
	for i := range uint64(50) {
		txs = append(txs, transfer(g, "wallet 0", i))
	}
	a.submit(txs...)
	b := start(t, g, c, bootstrap(a))
	eventually(t, func() bool { return b.chain.pooled() == len(txs) }, "sent when a peer joined")
	require.Zero(t, a.seen.dropped)
}

func TestWaitingTransactionsAreBounded(t *testing.T) {
	g, c := testGenesis("bounded"), newClock()
	a := start(t, g, c, func(c *overlay.Config) { c.Limits.KeptTxs = 3 })
	for i := range uint64(3) {
		require.NoError(t, a.PublishTx(t.Context(), a.accept(transfer(g, "wallet 0", i))))
	}
	require.Error(t, a.PublishTx(t.Context(), a.accept(transfer(g, "wallet 0", 3))))
}

// Own publications are charged to nobody, and need no second check.
func TestOwnPublicationsAreNotJudged(t *testing.T) {
	g, c := testGenesis("own"), newClock()
	a, b := start(t, g, c), start(t, g, c)
	b.join(a)
	meshed(t, a, b)
	tx := a.accept(transfer(g, "wallet 0", 0))
	require.NoError(t, a.PublishTx(t.Context(), tx))
	eventually(t, func() bool { return b.chain.has(tx.ID()) }, "delivered")
	never(t, func() bool {
		return a.seen.count(validation.Accept)+a.seen.count(validation.Ignore)+a.seen.count(validation.Reject) > 0
	}, 50*time.Millisecond, pulse)
	require.Error(t, a.PublishTx(t.Context(), validation.CheckedTx{}))
}
