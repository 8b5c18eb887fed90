package overlay_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// shortLived are transactions of one wallet whose time is over two seconds from now.
func shortLived(g *wire.Genesis, c *clock, count uint64) (txs []*wire.Transaction) {
	until := uint64(c.now(g).UnixMilli()) + 2_000
	for i := range count {
		txs = append(txs, transfer(g, "wallet 0", i, func(b *wire.TxBody) { b.ExpiresAt = until }))
	}
	return txs
}

// A node that was alone for a while finds a first peer. What its users submitted and has
// expired meanwhile it keeps to itself; what has not, it publishes, after all the rest.
//
// R120: a node publishes nothing that has expired.
func TestExpiredIsNotPublished(t *testing.T) {
	g, c := testGenesis("expired alone"), newClock()
	a := start(t, g, c)
	a.submit(shortLived(g, c, 400)...)
	c.slot.Add(120)
	fresh := transfer(g, "wallet 1", 0)
	a.submit(fresh)
	b := start(t, g, c, bootstrap(a))
	eventually(t, func() bool { return b.chain.has(fresh.ID()) }, "what waited behind them")
	require.Zero(t, b.seen.count(validation.Ignore), "nothing that expired came before it")
	require.Zero(t, b.seen.blamed())

	// Nor is what is published a moment too late, to a peer that is there.
	tardy := a.accept(transfer(g, "wallet 2", 0, func(b *wire.TxBody) { b.ExpiresAt = uint64(c.now(g).UnixMilli()) }))
	c.slot.Add(1)
	require.NoError(t, a.PublishTx(t.Context(), tardy))
	next := transfer(g, "wallet 1", 1)
	a.submit(next)
	eventually(t, func() bool { return b.chain.has(next.ID()) }, "what was published after it")
	require.Zero(t, b.seen.count(validation.Ignore))
}

// What has left the pool while it waited for a first peer is not published either.
func TestEndedIsNotPublished(t *testing.T) {
	g, c := testGenesis("ended alone"), newClock()
	a := start(t, g, c)
	tx, fresh := transfer(g, "wallet 0", 0), transfer(g, "wallet 1", 0)
	a.submit(tx, fresh)
	c.slot.Add(1)
	block := seal(g, a.chain.Head(), slotOf(c), []*wire.Transaction{tx})
	a.add(block)
	b := start(t, g, c, bootstrap(a))
	eventually(t, func() bool { return b.chain.has(fresh.ID()) }, "what waited behind it")
	require.Zero(t, b.seen.count(validation.Ignore))
	require.False(t, b.chain.has(tx.ID()), "it is in a block")
}

// A node that stood still gets at once what its peers sent while it did: by its clock all of
// that has expired, long before it came.
//
// R120: what comes expired is nobody's fault.
func TestStalledNodeChargesNobodyForExpired(t *testing.T) {
	g, c, late := testGenesis("expired stall"), newClock(), newClock()
	a, b := start(t, g, c), startOn(t, newHost(t), newChain(t, g, late))
	b.join(a)
	meshed(t, a, b)
	late.slot.Add(3600)
	txs := shortLived(g, c, 400)
	a.submit(txs...)
	eventually(t, func() bool { return b.seen.count(validation.Ignore) >= len(txs) }, "all came, or more than once")
	require.Zero(t, b.chain.pooled())
	require.Zero(t, b.seen.blamed())
	require.True(t, connected(b.host, a.host))
}
