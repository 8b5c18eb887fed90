package overlay_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// crowdedOut is the pool of a node that has no room for what others pool.
type crowdedOut struct{ *chain }

func (crowdedOut) GlanceTxs(claims []validation.Claim) []error {
	errs := make([]error, len(claims))
	for i := range errs {
		errs[i] = validation.PoolFull
	}
	return errs
}

// R165: what a node refused at a glance it need not ask for when a block holds it. Its
// neighbours rely on that: they sent it.
func TestRefusedAtAGlanceIsNotAskedFor(t *testing.T) {
	g, c := testGenesis("crowded out"), newClock()
	a := start(t, g, c)
	b := start(t, g, c, func(cfg *overlay.Config) { cfg.Pool = crowdedOut{cfg.Pool.(*chain)} })
	b.join(a)
	meshed(t, a, b)
	var txs []*wire.Transaction
	for i := range 32 {
		txs = append(txs, transfer(g, fmt.Sprint("wallet ", i%8), uint64(i/8)))
		a.submit(txs[i])
	}
	eventually(t, func() bool { return b.seen.count(validation.Accept)+b.seen.count(validation.Ignore) == len(txs) }, "all were heard of")
	require.Less(t, b.chain.pooled(), len(txs), "nearly all were refused")
	c.slot.Add(1)
	block := seal(g, a.chain.Head(), slotOf(c), txs)
	a.produce(block)
	how := b.awaitBlock(block)
	require.False(t, how.Requested(), "asked for %d", how.Asked)
	require.Equal(t, len(txs), how.FromPool)
	require.Zero(t, a.seen.blamed()+b.seen.blamed())
}
