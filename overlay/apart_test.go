package overlay_test

import (
	"testing"

	"github.com/stretchr/testify/require"

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
