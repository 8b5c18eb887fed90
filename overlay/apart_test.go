package overlay_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// The transactions of a suspect are ignored by the router, which will not offer them again,
// whoever brings them; what is good of them is published here instead.
//
// R50: what is good of a suspect is passed on late, not lost.
func TestGoodTransactionsOfASuspectTravel(t *testing.T) {
	g, c := testGenesis("suspect"), newClock()
	relay, far := start(t, g, c), start(t, g, c)
	far.join(relay)
	meshed(t, relay, far)
	f := newForeign(t, g.ID(), true)
	f.connect(t, relay)

	forged := func(nonce uint64) []byte {
		return wire.NewTransaction(transfer(g, "wallet 0", nonce).Body(), wire.Signature{1}).Bytes()
	}
	require.NoError(t, f.topic.Publish(t.Context(), forged(0)))
	eventually(t, func() bool { return len(relay.seen.offencesOf(f.host.ID())) == 1 }, "offence")

	good := transfer(g, "wallet 1", 0)
	require.NoError(t, f.topic.Publish(t.Context(), good.Bytes()))
	eventually(t, func() bool { return far.chain.has(good.ID()) }, "the good one, two hops on")
	require.Len(t, relay.seen.offencesOf(f.host.ID()), 1)

	require.NoError(t, f.topic.Publish(t.Context(), forged(1)))
	eventually(t, func() bool { return len(relay.seen.offencesOf(f.host.ID())) == 2 }, "the next bad one counts too")
	require.Equal(t, peerscore.InvalidTx, relay.seen.offencesOf(f.host.ID())[1])
	require.Zero(t, far.seen.blamed())
}

// R121: what a suspect brings first, among what fills the line of suspects, is judged when
// anybody else brings it: the router takes that for a duplicate.
func TestWhatASuspectBringsFirstIsNotLost(t *testing.T) {
	g, c := testGenesis("first by a suspect"), newClock()
	off := func(cfg *overlay.Config) { cfg.Recon = false }
	n, honest := start(t, g, c, off), start(t, g, c, off)
	honest.join(n)
	meshed(t, n, honest)
	h := greetedHost(t, n)
	s := gossipStream(t, h, n)
	_, err := s.Write(rpcOf(t, g, forge(g, 1)))
	require.NoError(t, err)
	eventually(t, func() bool { return len(n.seen.offencesOf(h.ID())) == 1 }, "offence")

	const frames, junk = 40, 75
	var txs []*wire.Transaction
	for i := range uint64(frames) {
		txs = append(txs, transfer(g, fmt.Sprint("wallet ", i%5), i/5))
		var batch [][]byte
		for k := range uint64(junk) { // well signed, of an account that has nothing: nobody's fault
			batch = append(batch, transfer(g, "nobody", i*junk+k).Bytes())
		}
		_, err := s.Write(rpcOf(t, g, append(batch, txs[i].Bytes())...))
		require.NoError(t, err)
	}
	for _, tx := range txs {
		if !honest.chain.has(tx.ID()) { // which is what n passed on
			honest.submit(tx)
		}
	}
	eventually(t, func() bool {
		for _, tx := range txs {
			if !n.chain.has(tx.ID()) {
				return false
			}
		}
		return true
	}, "all are here")
}
