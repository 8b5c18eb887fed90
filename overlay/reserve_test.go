package overlay_test

import (
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
)

// hearsNoBeat has no mesh but what peers ask for, and no way beside the topic.
func hearsNoBeat(c *overlay.Config) {
	c.Gossip.Heartbeat, c.Limits.AnnounceAfter, c.Recon = time.Hour, time.Hour, false
}

// missTheBeat lets the one beat pass that there is, a while after the start. It would take
// whoever is there into the mesh.
func missTheBeat() { time.Sleep(3 * pubsub.GossipSubHeartbeatInitialDelay) }

// besieged is a node whose mesh is one peer that passes on nothing.
func besieged(t *testing.T, n *node) {
	t.Helper()
	p := newPuppet(t, n)
	p.subscribe(true, p.topic)
	p.graft(p.topic)
	eventually(t, func() bool { return n.peer(p.ID()).InTxMesh }, "grafted")
}

// R116: where the mesh gives nothing, a transaction goes to a peer that was dialled, and to one
// that brought something, but not to whoever came.
func TestP24ReserveTakesTheMeshsPlace(t *testing.T) {
	g, c := testGenesis("reserve"), newClock()
	n, dialled := start(t, g, c, hearsNoBeat), start(t, g, c, hearsNoBeat)
	besieged(t, n)
	besieged(t, dialled)
	missTheBeat()
	n.join(dialled)
	stranger := newPuppet(t, n)
	stranger.subscribe(true, stranger.topic)
	require.False(t, n.peer(dialled.host.ID()).InTxMesh)

	reaches(t, n, dialled, "wallet 0")
	reaches(t, dialled, n, "wallet 1") // who brought something
	never(t, func() bool { return stranger.received() > 0 }, 200*time.Millisecond, pulse)
}

// R155: who is neither drawn nor useful hears at once that there is something, and can ask.
func TestWhoIsOutsideHearsAtOnce(t *testing.T) {
	g, c := testGenesis("prompt"), newClock()
	n := start(t, g, c, hearsNoBeat)
	besieged(t, n)
	missTheBeat()
	stranger := newPuppet(t, n)
	stranger.subscribe(true, stranger.topic)
	tx := transfer(g, "wallet 0", 0)
	n.submit(tx)
	eventually(t, func() bool { return stranger.hears(idOf(g, tx)) }, "it is announced")
	stranger.want(idOf(g, tx))
	eventually(t, func() bool { return stranger.received() == 1 }, "it is sent")
}

// R157: an own transaction does not wait for a mesh where peers are in reserve: the mesh may be
// empty because all of it was found to pass on nothing.
func TestOwnGoesOutBesideAnEmptyMesh(t *testing.T) {
	g, c := testGenesis("no mesh"), newClock()
	waits := func(c *overlay.Config) { c.Gossip.MeshPatience = time.Hour }
	n, dialled := start(t, g, c, hearsNoBeat, waits), start(t, g, c, hearsNoBeat)
	besieged(t, n)
	besieged(t, dialled)
	n.join(dialled)
	reaches(t, n, dialled, "wallet 0")
	for _, p := range n.Peers() {
		if p.InTxMesh {
			require.NoError(t, n.host.Network().ClosePeer(p.ID))
		}
	}
	eventually(t, func() bool { return len(n.Peers()) == 1 && !n.peer(dialled.host.ID()).InTxMesh }, "the mesh is empty")
	reaches(t, n, dialled, "wallet 1")
}

// reaches waits until something that one node publishes is with another. What it publishes
// before the router has its streams is lost.
func reaches(t *testing.T, from, to *node, wallet string) {
	t.Helper()
	before, nonce := to.chain.pooled(), uint64(0)
	eventually(t, func() bool {
		from.submit(transfer(from.g, wallet, nonce))
		nonce++
		time.Sleep(100 * time.Millisecond)
		return to.chain.pooled() > before
	}, "what one publishes reaches the other")
}
