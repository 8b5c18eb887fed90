package catchup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/catchup"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

// The blocks of a branch are asked for if it may become the best chain, and only then: they
// are as many bytes as its whole difference.
func TestBlocksOfALosingBranchAreNotAskedFor(t *testing.T) {
	common := grow(nil, 1, 10, sized(1000))
	ours := grow(common, 5, 20, sized(1000))
	later := func(b branch) branch {
		for i := 10; i < len(b); i++ {
			b[i].Slot += 100
		}
		return b
	}
	for name, test := range map[string]struct {
		theirs branch
		asked  bool
	}{
		"shorter":                       {grow(common, 2, 19, sized(1000)), false},
		"as long, with a lower id":      {grow(common, 2, 20, sized(1000)), true},
		"as long, with a higher id":     {grow(common, 9, 20, sized(1000)), false},
		"as long, with a higher slot":   {later(grow(common, 2, 20, sized(1000))), false},
		"longer, with a higher slot":    {later(grow(common, 9, 21, sized(1000))), true},
		"as long, parting from genesis": {grow(nil, 0, 20, sized(1000)), true},
		"longer, parting from genesis":  {grow(nil, 9, 21, sized(1000)), true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, catchup.DefaultConfig(), 1)
			for _, h := range ours {
				w.chain.add(h)
			}
			asked := false
			w.join(&peerSim{
				id: "peer", latency: 50 * time.Millisecond, rate: 1e6, chain: test.theirs,
				behave: func(w *world, p *peerSim, a catchup.Ask) {
					asked = asked || a.Locator == nil
					serve(w, p, a)
				},
			})
			w.s.Seek(peerscore.PeerID("peer"))
			w.run(time.Minute, func() bool { return false })
			require.Equal(t, test.asked, asked)
			require.Equal(t, test.asked, w.chain.HasBlock(test.theirs[len(test.theirs)-1].ID))
			require.Empty(t, w.late)
			require.Zero(t, w.s.Status().Sources, "nobody is left waiting for a place")
		})
	}
}

// A branch that lost is fetched once it grows.
func TestALosingBranchThatGrows(t *testing.T) {
	common := grow(nil, 1, 10, sized(1000))
	w := newWorld(t, catchup.DefaultConfig(), 1)
	for _, h := range grow(common, 2, 20, sized(1000)) {
		w.chain.add(h)
	}
	p := &peerSim{id: "peer", latency: 50 * time.Millisecond, rate: 1e6, chain: grow(common, 9, 20, sized(1000))}
	w.join(p)
	w.s.Seek(p.id)
	w.run(time.Minute, func() bool { return false })
	require.Zero(t, len(w.added))
	p.chain = grow(p.chain, 9, 21, sized(1000))
	p.claims = 21
	for _, h := range p.chain {
		w.headers[h.ID] = h
	}
	w.s.Peer(w.now, catchup.Source{Peer: p.id, Height: 21})
	w.run(time.Minute, w.reached(p.chain))
	require.Equal(t, p.chain[20].ID, w.chain.head.ID)
}
