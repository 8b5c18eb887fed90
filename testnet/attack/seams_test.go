package attack_test

import (
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"

	"github.com/grapevine-p2p/grapevine/node"
)

// defenceless are relays of whole nodes that lack some defence: what an attack
// does to them is what the defence is for.
var defenceless = map[string]func(*node.Config){
	"lenient": lenient,
	// Whoever is asked for blocks may take as long as it likes, and nobody else is
	// asked meanwhile.
	"patient": func(c *node.Config) {
		c.Limits.SyncStall, c.Limits.SyncTime, c.Sync.Patience, c.Sync.Rest = time.Hour, time.Hour, time.Hour, time.Millisecond
		c.Sync.MaxSources = 1
	},
	"unrepaired": func(c *node.Config) {
		crowded(c)
		lenient(c)
		unrepaired(c)
	},
	// The same but for repair, so that the difference is what repair is good for.
	"repaired": func(c *node.Config) {
		crowded(c)
		lenient(c)
	},
}

// lenient nodes hold nothing against anybody.
func lenient(c *node.Config) {
	for o := 1; o < len(c.Score.Weights); o++ {
		c.Score.Weights[o] = 1e-9
	}
	c.Score.Negligible, c.Score.BanAt, c.Score.TopicScoreCap, c.Score.MaxInferred = 1e-12, 1e9, 1e-9, 1e-3
	// The penalty for what the router sees follows from the first threshold, and
	// a ban must be below the last.
	c.Score.Thresholds.Gossip, c.Score.Thresholds.Publish, c.Score.Thresholds.Graylist = -100, -1e12, -1e12
	c.Score.Thresholds.OpportunisticGraft = 0
	c.Limits.ChargesForgiven, c.Limits.BombsPerMinute = 1e9, 1e9 // nor cut anybody off for more than their share
}

// places is how many peers the mesh of a crowded node has room for.
const places = 3

// crowded nodes have few places in their meshes, and offer none of them to
// anybody before all are taken: attackers ask for one as soon as they are
// connected. So who is in whose mesh does not depend on luck. Nobody stands in for it.
func crowded(c *node.Config) {
	c.Gossip.D, c.Gossip.Dlo, c.Gossip.Dhi, c.Gossip.Dout, c.Gossip.Dscore = places, places-1, places, 0, 0
	c.Gossip.Reserve = 0
	beatLate()
}

// The library has these for all routers of a process, and this process runs one relay. Its nodes
// are made side by side, so that the first to come sets them.
var (
	beatLate  = sync.OnceFunc(func() { pubsub.GossipSubHeartbeatInitialDelay = 4 * time.Second })
	hearNoIDs = sync.OnceFunc(func() { pubsub.GossipSubMaxIHaveMessages = 0 })
)

// unrepaired nodes know of a message what their mesh pushes to them: they ignore
// what is announced to them, announce hardly anything of their own again, and do
// not compare pools.
func unrepaired(c *node.Config) {
	hearNoIDs()
	c.Recon, c.Limits.FollowedTxs = false, 1
}
