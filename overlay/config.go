package overlay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/overlay/catchup"
	swim "github.com/grapevine-p2p/grapevine/overlay/member"
	"github.com/grapevine-p2p/grapevine/overlay/stem"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Chain is what the overlay needs of the node's chain. Safe for concurrent use.
type Chain interface {
	// Head is the newest block of the best chain.
	Head() ledger.Ref
	// HasBlock says whether a block is stored and its ancestors with it.
	HasBlock(id wire.BlockID) bool
	// Block gives a stored block, or NotFound.
	Block(id wire.BlockID) (*wire.Block, error)
	// BlockAt is the block of the best chain at a height.
	BlockAt(height uint64) (wire.BlockID, bool)
	// AddBlock makes a block durable and gives it to the ledger. AlreadyKnown,
	// UnknownParent and the like come back as Refusals.
	AddBlock(ctx context.Context, b validation.CheckedBlock, from peerscore.PeerID) error
	// Observe notes a valid header: whether it is the first of its producer and slot,
	// and, once, the evidence if it is the second.
	Observe(h validation.CheckedHeader) (first bool, ev *wire.Evidence)
}

// HeaderKeeper is a Chain that reads a header without the body.
type HeaderKeeper interface {
	// Header gives the header of a stored block, or NotFound.
	Header(id wire.BlockID) (*wire.Header, error)
}

// EvidenceKeeper is a Chain that also keeps the evidence that peers tell it.
type EvidenceKeeper interface {
	// AddEvidence says whether the evidence is news; what is not is not passed on.
	AddEvidence(ev *wire.Evidence) (news bool)
}

// Pool is what the overlay needs of the mempool. Safe for concurrent use.
type Pool interface {
	// AddTx takes a transaction that came from a peer.
	AddTx(ctx context.Context, tx validation.CheckedTx, from peerscore.PeerID) error
	// Match lists the transactions, pooled and seen of late, whose short ids are among those
	// of a block, in any order.
	Match(salt wire.Salt, want []wire.ShortID) []validation.CheckedTx
}

// Config is what an Overlay is made of.
type Config struct {
	Host    host.Host           // listening; the overlay neither makes nor closes it
	Genesis *wire.Genesis       // names the network
	Checker *validation.Checker // judges everything
	Chain   Chain
	Pool    Pool

	Bootstrap []peer.AddrInfo // to join through; see Dial
	Agent     string          // said in hello; at most 64 bytes

	Dial Dial // how peers are found

	// Recon has what is pooled compared with what peers have, and what is lacking fetched.
	// It takes a Pool that is a TxSource; with another it does nothing.
	Recon bool

	// Stem is how transactions travel that are published without telling who began.
	Stem stem.Config
	// Members has the node keep a view of who is in the network and who has fallen silent,
	// at the pace and within the bounds of Swim. It takes a Host with an Ed25519 identity.
	Members bool
	Swim    swim.Config

	// EchoNetworks is in how many networks (IPv4 /16, IPv6 /32) there must be peers that
	// echoed a transaction of our own before it counts as told. 1 where all peers are
	// expected behind one address, as in a testnet.
	EchoNetworks int

	Logger *slog.Logger // nil: slog.Default
	Hooks  Hooks
	Limits Limits
	Sync   catchup.Config // catching up; its window is not below the largest block
	Gossip Gossip
	Score  peerscore.Config
	// Lookout says how silent peers of the transaction mesh are found.
	Lookout peerscore.LookoutConfig
	Now     func() time.Time // the shell's clock; nil: time.Now
}

// DefaultConfig returns a configuration that lacks only its host, genesis, checker,
// chain and pool.
func DefaultConfig() Config {
	return Config{
		Agent:   "grapevine",
		Members: true,
		Swim:    swim.DefaultConfig(),
		Dial:    DefaultDial(),
		Recon:   true,
		Stem:    stem.DefaultConfig(),
		// One network can be one operator, or one that surrounds us.
		EchoNetworks: 2,
		Limits:       DefaultLimits(),
		Sync:         catchup.DefaultConfig(),
		Gossip:       DefaultGossip(),
		Score:        peerscore.DefaultConfig(),
		Lookout:      peerscore.DefaultLookoutConfig(),
	}
}

// Validate reports every reason why the configuration cannot be used.
func (c Config) Validate() error {
	var errs []error
	for _, need := range []struct {
		missing bool
		name    string
	}{
		{c.Host == nil, "Host"},
		{c.Genesis == nil, "Genesis"},
		{c.Checker == nil, "Checker"},
		{c.Chain == nil, "Chain"},
		{c.Pool == nil, "Pool"},
	} {
		if need.missing {
			errs = append(errs, fmt.Errorf("overlay: %s is missing", need.name))
		}
	}
	if len(c.Agent) > maxAgent {
		errs = append(errs, fmt.Errorf("overlay: Agent has %d bytes, want at most %d", len(c.Agent), maxAgent))
	}
	if c.EchoNetworks < 1 || c.EchoNetworks > enoughEchoes {
		errs = append(errs, fmt.Errorf("overlay: EchoNetworks is %d, want 1 to %d", c.EchoNetworks, enoughEchoes))
	}
	if c.Sync.WindowBytes < 2*wire.MaxBlock {
		errs = append(errs, fmt.Errorf("overlay: Sync.WindowBytes is %d, want room for two blocks of %d", c.Sync.WindowBytes, wire.MaxBlock))
	}
	return errors.Join(append(errs, c.Sync.Validate(), c.Dial.Validate(), c.Limits.Validate(), c.Swim.Validate(), c.Gossip.Validate(), c.Score.Validate(), c.Stem.Validate(), c.Lookout.Validate(c.Score))...)
}

// maxAgent is what hello can carry.
const maxAgent = 64

// Gossip is how the two GossipSub instances behave. The two differ in nothing here but
// what the fields say.
type Gossip struct {
	D, Dlo, Dhi, Dout, Dscore, Dlazy int

	// Reserve is how many peers of the transaction mesh must have given this node something
	// of late. Where fewer did, it sends transactions to so many others as well. 0: to none.
	Reserve int

	// PruneBackoff is how long two peers stay out of each other's mesh after a PRUNE, such as
	// for want of room.
	PruneBackoff time.Duration

	Heartbeat time.Duration
	// BlockHeartbeat is that of the block instance. It bounds how late a block is announced
	// to who hears nothing in its mesh.
	BlockHeartbeat time.Duration
	HistoryLength  int
	HistoryGossip  int
	SeenTTL        time.Duration // see Forgotten
	OutboundQueue  int           // RPCs per peer
	ValidateQueue  int           // messages
	TxWorkers      int           // validators at once: they wait for a batch, so there must be many
	BlockWorkers   int
	TxPerSecond    float64 // expected of the whole network, for the scores
	BlocksPerSlot  float64 // expected of the whole network, for the scores
	MeshPatience   time.Duration
	InspectScores  time.Duration
}

// DefaultGossip returns the settings of the design: those that Prysm runs with but for what is said, which
// hold for meshes from two nodes to thousands. GossipSub grafts whatever there is below
// Dlo, so a small network is simply a full mesh.
func DefaultGossip() Gossip {
	return Gossip{
		// Dlo is that of GossipSub's specification, and not Prysm's 6: a node with four or five
		// honest neighbours and many Sybils would otherwise always have so many of these in its
		// mesh, on trial, that it has eight peers.
		D: 8, Dlo: 4, Dhi: 12, Dout: 3, Dscore: 6, Dlazy: 8,
		Reserve: 4,
		// An eighth of GossipSub's. Sybils fill meshes and have honest peers pruned from them;
		// once they are found out, which takes ten seconds, these have to come back. The router
		// keeps it for up to 12 s longer than it says (a look every fifteen heartbeats, and 2 s).
		PruneBackoff: 8 * time.Second,
		Heartbeat:    700 * time.Millisecond,
		// As long as a block takes through the mesh: who has only links that went silent gets
		// it in twice that. Nothing is sent where nothing is new.
		BlockHeartbeat: 250 * time.Millisecond,
		HistoryLength:  6,
		HistoryGossip:  3,
		// A message travels for seconds; beyond, memory of it only delays what is
		// announced again to those who missed it.
		SeenTTL:       time.Minute,
		OutboundQueue: 600,
		ValidateQueue: 600,
		TxWorkers:     256,
		BlockWorkers:  64,
		TxPerSecond:   100,
		BlocksPerSlot: 1,
		// Three heartbeats without a graft: the mesh will not form (every peer is
		// backing off, or scored below zero), so lazy gossip has to do.
		MeshPatience:  2100 * time.Millisecond,
		InspectScores: time.Second,
	}
}

// Forgotten is the time after which every node with these settings has forgotten that it
// saw a message: until then to publish it again reaches nobody.
func (g Gossip) Forgotten() time.Duration { return g.SeenTTL + seenSweep }

// seenSweep is how often pubsub's seen cache drops what is older than its TTL. Until then
// it answers for that too.
const seenSweep = time.Minute

// graftFlood is the time after a PRUNE in which a GRAFT counts for a flood and is punished
// twice. After the back-off there is nothing to punish.
const graftFlood = 5 * time.Second

// Validate reports every reason why the settings cannot be used.
func (g Gossip) Validate() error {
	var errs []error
	refuse := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("overlay: gossip: "+format, args...))
	}
	if g.Dlo < 1 || g.Dlo > g.D || g.D > g.Dhi {
		refuse("D is %d, want between Dlo=%d (>= 1) and Dhi=%d", g.D, g.Dlo, g.Dhi)
	}
	if g.Dout < 0 || g.Dout >= g.Dlo || 2*g.Dout >= g.D {
		refuse("Dout is %d, want below Dlo=%d and below D/2=%d/2", g.Dout, g.Dlo, g.D)
	}
	if g.Reserve < 0 {
		refuse("Reserve is %d, want >= 0", g.Reserve)
	}
	if g.Dscore < 0 || g.Dscore > g.D {
		refuse("Dscore is %d, want 0 to D=%d", g.Dscore, g.D)
	}
	if g.HistoryGossip < 1 || g.HistoryGossip > g.HistoryLength {
		refuse("HistoryGossip is %d, want 1 to HistoryLength=%d", g.HistoryGossip, g.HistoryLength)
	}
	if g.PruneBackoff <= graftFlood || g.PruneBackoff%time.Second != 0 {
		refuse("PruneBackoff is %v, want whole seconds, more than %v", g.PruneBackoff, graftFlood)
	}
	for _, d := range []struct {
		name string
		v    time.Duration
	}{
		{"Heartbeat", g.Heartbeat},
		{"BlockHeartbeat", g.BlockHeartbeat},
		{"SeenTTL", g.SeenTTL},
		{"MeshPatience", g.MeshPatience},
		{"InspectScores", g.InspectScores},
	} {
		if d.v <= 0 {
			refuse("%s is %v, want > 0", d.name, d.v)
		}
	}
	if g.BlockHeartbeat > g.Heartbeat {
		refuse("BlockHeartbeat is %v, want at most Heartbeat=%v", g.BlockHeartbeat, g.Heartbeat)
	}
	for _, n := range []struct {
		name string
		v    int
	}{
		{"Dlazy", g.Dlazy},
		{"half of OutboundQueue", g.OutboundQueue / 2},
		{"half of ValidateQueue", g.ValidateQueue / 2},
		{"TxWorkers", g.TxWorkers},
		{"BlockWorkers", g.BlockWorkers},
	} {
		if n.v < 1 {
			refuse("%s is %d, want >= 1", n.name, n.v)
		}
	}
	if !(g.TxPerSecond > 0) || !(g.BlocksPerSlot > 0) { // NaN fails too
		refuse("TxPerSecond is %v and BlocksPerSlot %v, want > 0", g.TxPerSecond, g.BlocksPerSlot)
	}
	return errors.Join(errs...)
}
