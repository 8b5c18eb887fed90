package catchup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// A branch of which nobody gives the blocks keeps its place in the window while somebody may
// be asked for them, and no longer: a peer whose chain ends below them is no such one.
//
// S7: to have, and not to give.
func TestALowPeerKeepsNoBranchInTheWindow(t *testing.T) {
	sizes := []int{200, 28_413, 202, 979, 593, 202, 531, 24_948, 203}
	main := grow(nil, 1, 118, func(h uint64) int { return sizes[int(h)%len(sizes)] })
	for seed := range uint64(40) {
		cfg := small()
		cfg.WindowBlocks, cfg.MaxSources = 23, 8
		w := newWorld(t, cfg, seed)
		w.perBlock = 3 * time.Millisecond
		for _, h := range main[:2] {
			w.chain.add(h)
		}
		peer := func(id string, latency time.Duration, rate float64, chain branch, behave behaviour) {
			w.join(&peerSim{id: peerscore.PeerID(id), latency: latency * time.Millisecond, rate: rate, chain: chain, behave: behave})
		}
		high := grow(main[:104], 10, 387, sized(3000))
		for _, h := range high[104:] {
			w.reject[h.ID] = true
		}
		peer("high", 1, 1e5, high, bodiless(promising))
		peer("quick, then silent", 105, 1e7, main, turncoat(4, silent))
		peer("silent by turns", 1, 1e5, main, byTurns(3, silent))
		peer("gives no block", 75, 1e6, main, bodiless(promising))
		peer("low", 62, 1e6, grow(main[:28], 14, 29, sized(3000)), nil)
		peer("drips", 24, 1e7, main, dripping(70<<10))
		peer("silent", 2, 1e7, main, silent)
		peer("another branch", 4, 1e5, grow(nil, 17, 75, sized(3000)), bodiless(silent))
		w.join(honest(0, main))
		w.run(time.Hour, func() bool { return w.chain.head.Height == 118 })
		require.EqualValues(t, 118, w.chain.head.Height, "seed %d", seed)
	}
}

// Headers that follow what was dropped meanwhile are asked for anew from where our chain is, and
// not again and again from there.
func TestHeadersOfADroppedBranchAreToldAgain(t *testing.T) {
	main := grow(nil, 1, 280, func(h uint64) int { return 267 + int(h%2)*131 })
	cfg := small()
	cfg.WindowBlocks, cfg.MaxSources = 17, 1
	w := newWorld(t, cfg, 0)
	w.perBlock, w.downlink = 3*time.Millisecond, 1e6
	for _, h := range main[:2] {
		w.chain.add(h)
	}
	w.join(&peerSim{
		id: "another branch", latency: 20 * time.Millisecond, rate: 1e6,
		chain: grow(nil, 10, 57, sized(3000)), behave: turncoat(4, dripping(40<<10)),
	})
	w.join(&peerSim{
		id: "low", latency: 151 * time.Millisecond, rate: 1e5,
		chain: grow(main[:6], 11, 7, sized(3000)), behave: bodiless(silent),
	})
	w.join(honest(0, main))
	w.restart(9)
	w.run(time.Hour, w.reached(main))
	require.EqualValues(t, 280, w.chain.head.Height)
}
