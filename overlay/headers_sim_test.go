package overlay_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// R96, over the real router and real connections: a producer with thirty peers sends its header to
// the mesh first. No peer is linked with another and all lines are alike, so that only the order on
// the producer's uplink decides who hears of the block when, in virtual time. Most of the mesh hears
// of it 12 to 18 ms before the first of the others; where headers are not told from other frames, as
// it once was while every test of their turns passed, half a millisecond before at best (eight
// runs each). Lines half as fast keep the turns waiting for longer than anybody's patience.
func TestHeadersGoToTheMeshFirst(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute under the race detector, which runs short tests; no other test needs it to be raced")
	}
	synctest.Test(t, func(t *testing.T) {
		const count = 30
		q := newQuietNet(1, 0)
		q.LatencyFunc = func(*simnet.Packet) time.Duration { return 30 * time.Millisecond }
		line := simnet.LinkSettings{BitsPerSecond: 70 * simlibp2p.OneMbps}
		q.lines = simnet.NodeBiDiLinkSettings{Uplink: line, Downlink: line}
		q.Start()
		t.Cleanup(q.Close)
		g, c := testGenesis("headers"), newClock()
		hub := startOn(t, q.host(t, 0), newChain(t, g, c))
		var mu sync.Mutex
		heard := make(map[peer.ID]time.Time)
		for i := range count {
			h := q.host(t, i+1)
			leaf := startOn(t, h, newChain(t, g, c), func(c *overlay.Config) {
				c.Hooks.BlockHeard = func(wire.BlockID, peerscore.PeerID) {
					mu.Lock()
					defer mu.Unlock()
					heard[h.ID()] = time.Now()
				}
			})
			require.NoError(t, leaf.Connect(t.Context(), hub.addr()))
		}
		time.Sleep(10 * time.Second)
		inMesh := make(map[peer.ID]bool)
		for _, p := range hub.Peers() {
			inMesh[p.ID] = p.InBlockMesh
		}
		require.Len(t, inMesh, count)

		const txs = 4_200 // 25 KB of short ids
		var all []*wire.Transaction
		for i := range uint64(txs) {
			all = append(all, transfer(g, fmt.Sprint("wallet ", i%8), i/8))
		}
		c.slot.Add(1)
		block := seal(g, hub.chain.Head(), c.slot.Load(), all)
		checked := hub.add(block)
		began := time.Now()
		require.NoError(t, hub.PublishBlock(t.Context(), checked, nil))
		time.Sleep(time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, heard, count)
		var mesh, others []time.Duration
		for p, at := range heard {
			if inMesh[p] {
				mesh = append(mesh, at.Sub(began))
			} else {
				others = append(others, at.Sub(began))
			}
		}
		slices.Sort(mesh)
		slices.Sort(others)
		t.Logf("mesh %v, others %v", mesh, others)
		require.GreaterOrEqual(t, len(mesh), 6)
		require.Less(t, mesh[len(mesh)/2], others[0]-6*time.Millisecond)
	})
}
