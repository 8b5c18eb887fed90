package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Node is one node of a network. Its methods are safe for concurrent use.
type Node struct {
	cfg       Config // set by New and then constant, as all to ready
	home      *home
	id        peer.ID
	store     *store.Store
	chain     *chain
	events    *events
	api       *api.Server // nil where it is disabled
	announcer *announcer
	private   *private
	reach     *reach
	fees      fees
	started   time.Time
	saving    sync.Mutex // held while reputations are written
	ready     chan struct{}

	ran      atomic.Bool
	loaded   atomic.Bool // the pool holds what its last snapshot did
	host     atomic.Pointer[host.Host]
	overlay  atomic.Pointer[overlay.Overlay]
	producer atomic.Pointer[producer]
}

// New opens the home: its lock, keys, genesis and store. It listens on nothing
// and starts nothing; a node that is never run must be closed.
func New(cfg Config) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.filled()
	h, err := openHome(cfg)
	if err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, home: h, started: cfg.Now(), ready: make(chan struct{})}
	if err := n.open(); err != nil {
		return nil, errors.Join(err, n.release())
	}
	return n, nil
}

func (n *Node) open() error {
	g := n.home.genesis
	public, err := crypto.UnmarshalEd25519PublicKey(n.home.key.Public().(ed25519.PublicKey))
	if err != nil {
		return fmt.Errorf("node key: %w", err)
	}
	if n.id, err = peer.IDFromPublicKey(public); err != nil {
		return fmt.Errorf("node key: %w", err)
	}
	feed, err := api.NewFeed(n.cfg.EventLog)
	if err != nil {
		return err
	}
	n.events = &events{
		feed: feed, metrics: newMeters(), observe: n.cfg.Observe, prefix: g.AddressPrefix, now: n.cfg.Now,
		included: n.included, bans: make(chan struct{}, 1), journeys: newJourneys(),
	}
	if err := n.openStore(g); err != nil {
		return err
	}
	n.events.metrics.at(n.chain.ends())
	n.events.metrics.watch("mempool_floor", "Fee per 1,000 bytes below which nothing enters the mempool.", n.chain.feeFloor)
	n.announcer = newAnnouncer(n.cfg.Logger, n.chain.announceable)
	n.private = newPrivate(n.chain, n.cfg.Logger)
	n.reach = &reach{log: n.cfg.Logger}
	n.announcer.add(n.chain.untold(0, maxQueued)...)
	if n.cfg.API.Disabled {
		return nil
	}
	cfg := api.DefaultConfig()
	cfg.Socket, cfg.Listen, cfg.TokenFile = n.cfg.API.Socket, n.cfg.API.Listen, TokenPath(n.cfg.Home)
	cfg.Private = n.cfg.API.Private
	cfg.Genesis, cfg.Metrics, cfg.Logger = g, n.events.metrics.handler(), n.cfg.Logger
	n.api, err = api.NewServer(cfg, n.Backend())
	return err
}

// openStore opens the store and loads the chain and what was accepted from it. Where reading says that it is
// damaged it is set aside, and opened anew.
func (n *Node) openStore(g *wire.Genesis) error {
	err := n.loadStore(g)
	if n.store == nil || !isDamage(err) {
		return err
	}
	if err := errors.Join(n.store.Condemn(err), n.store.Close()); err != nil {
		return err
	}
	return n.loadStore(g)
}

func (n *Node) loadStore(g *wire.Genesis) (err error) {
	n.store, err = store.Open(dataDir(n.cfg.Home), store.Options{
		FS: n.cfg.FS, Network: g.ID(), CacheBytes: n.cfg.CacheBytes, Logger: n.cfg.Logger,
		Synced: func(took time.Duration) { n.events.metrics.syncS.Observe(took.Seconds()) },
		Slot: func() uint64 {
			slot, _ := g.SlotAt(validation.UnixMillis(n.cfg.Now()) + uint64(g.Limits.ClockToleranceMillis))
			return slot
		},
	})
	if err != nil {
		return err
	}
	if n.chain, err = newChain(n.cfg, g, n.store, n.events); err != nil {
		return err
	}
	return n.chain.restoreLocals()
}

func isDamage(err error) bool {
	var damage ledger.Damage
	return errors.Is(err, store.Damaged) || errors.As(err, &damage)
}

// Close lets go of the home of a node that is never run. After Run it does
// nothing.
func (n *Node) Close() error {
	if n.ran.Swap(true) {
		return nil
	}
	return n.release()
}

// release closes the store and unlocks the home.
func (n *Node) release() error {
	var errs []error
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	return errors.Join(append(errs, n.home.lock.Close())...)
}

// ID is the node's peer id.
func (n *Node) ID() peer.ID { return n.id }

// Genesis is the network's. The caller must not change it.
func (n *Node) Genesis() *wire.Genesis { return n.home.genesis }

// Ready is closed when the node listens and has joined the topics.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Addrs are the addresses to dial this node at, without its peer id; none
// before it listens.
func (n *Node) Addrs() []ma.Multiaddr {
	if h := n.host.Load(); h != nil {
		return (*h).Addrs()
	}
	return nil
}

// Backend is what the API serves, for callers in the same process.
func (n *Node) Backend() api.Backend { return backend{n, n.events.feed} }

// Overlay is the node's part in the network, nil before Ready.
func (n *Node) Overlay() *overlay.Overlay { return n.overlay.Load() }

// APIURL is the address of the API's TCP listener once it listens; empty
// without one.
func (n *Node) APIURL() string {
	if n.api == nil {
		return ""
	}
	return n.api.URL()
}

var errRanBefore = errors.New("node: Run or Close was called before; make a new Node")

// Run takes part in the network until ctx ends, then returns nil after a clean
// stop of at most stopWithin. It returns an error where the node cannot listen,
// or its disk fails. It can be called once.
func (n *Node) Run(ctx context.Context) error {
	if n.ran.Swap(true) {
		return errRanBefore
	}
	err := n.run(ctx)
	if n.loaded.Load() { // else the last one holds what the pool lacks
		n.saveSnapshot(snapshotAtStop)
	}
	return errors.Join(err, n.release())
}
