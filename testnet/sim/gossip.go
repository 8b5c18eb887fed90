package sim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/config"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// gossip is a whole Grapevine node at a seat, as it stands.
type gossip struct {
	*node.Node
	seat     Seat
	graylist float64 // a peer below it is not listened to
}

// Gossip is the relay that runs whole Grapevine nodes: overlay, validation,
// mempool, ledger, and a store in memory. Changes are made to the settings of
// each node before it starts, such as to show what a defence is good for by
// leaving it out.
func Gossip(changes ...func(*node.Config)) Relay {
	return RelayFunc(func(seat Seat) (Participant, error) { return newGossip(seat, changes) })
}

func newGossip(seat Seat, changes []func(*node.Config)) (Participant, error) {
	if err := furnish(seat); err != nil {
		return nil, fmt.Errorf("make the home of seat %d: %w", seat.Number, err)
	}
	cfg := nodeConfig(seat)
	for _, change := range changes {
		change(&cfg)
	}
	n, err := node.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("open the node of seat %d: %w", seat.Number, err)
	}
	return &gossip{Node: n, seat: seat, graylist: cfg.Score.Thresholds.Graylist}, nil
}

// furnish puts keys and genesis into a seat's home, the first time.
func furnish(seat Seat) error {
	if _, err := os.Stat(node.GenesisPath(seat.Home)); err == nil {
		return nil
	}
	raw, err := seat.Key.Raw()
	if err != nil {
		return err
	}
	if err := keyfile.Create(node.NodeKeyPath(seat.Home), raw, ""); err != nil {
		return err
	}
	if seat.Producer != nil {
		if err := keyfile.Create(node.ProducerKeyPath(seat.Home), seat.Producer, ""); err != nil {
			return err
		}
	}
	return os.WriteFile(node.GenesisPath(seat.Home), seat.Genesis.JSON(), 0o600)
}

const (
	// storeCache and eventLog are small because nobody reads here: the default
	// cache of a hundred nodes would not fit most machines.
	storeCache = 1 << 20
	eventLog   = 256
)

func nodeConfig(seat Seat) node.Config {
	cfg := node.DefaultConfig(seat.Home)
	cfg.Profile = config.ProfileTestnet
	cfg.ListenAddrs = []string{addrOf(seat.Number)}
	for _, n := range seat.Neighbours {
		cfg.Bootstrap = append(cfg.Bootstrap, fmt.Sprintf("%s/p2p/%s", n.Addrs[0], n.ID))
	}
	cfg.Dial.Outbound = seat.Finds // zero: the neighbours are the topology
	cfg.Dial.AnchorSlots = min(cfg.Dial.AnchorSlots, seat.Finds)
	cfg.API.Disabled = true
	cfg.FS, cfg.CacheBytes, cfg.EventLog = seat.Disk, storeCache, eventLog
	if seat.TxRate > 0 {
		cfg.Gossip.TxPerSecond = seat.TxRate
	}
	cfg.NewHost = func(crypto.PrivKey) (host.Host, error) { return seat.NewHost() }
	cfg.Judge = func(chain validation.Application) validation.Application {
		return &judge{Application: chain, cost: seat.VerifyCost, silent: seat.Silent}
	}
	cfg.Observe = observe(seat.Observer)
	return cfg
}

// observe tells an observer what the node's hooks say.
func observe(o *Observer) node.Observe {
	return node.Observe{
		Overlay: overlay.Hooks{
			TxArrived: func(id wire.TxID, _ peerscore.PeerID, v validation.Verdict, err error) {
				o.Copy(Tx, ID(id))
				switch {
				case v == validation.Accept:
					o.Valid(Tx, ID(id))
				case errors.Is(err, validation.PoolFull), errors.Is(err, validation.Unavailable):
					o.Count(Counts{Dropped: 1})
				}
			},
			TxDuplicate:       func(id wire.TxID, _ peerscore.PeerID) { o.Copy(Tx, ID(id)) },
			RPCDropped:        func(peerscore.PeerID, string) { o.Count(Counts{Dropped: 1}) },
			ValidationDropped: func(peerscore.PeerID, string) { o.Count(Counts{Dropped: 1}) },
			BlockRebuilt: func(_ wire.BlockID, how overlay.Rebuilt) {
				asked := 0
				if how.Requested() {
					asked = 1
				}
				o.Count(Counts{Rebuilt: 1, Asked: asked})
			},
			Offence: func(p peerscore.PeerID, what peerscore.Offence, err error) { o.Charged(peer.ID(p), what, err) },
		},
		BlockAdded: func(b validation.CheckedBlock, own bool) {
			id := ID(b.ID())
			for _, tx := range b.Txs() {
				if tx.Terms().ExpiresAt != fillerExpiry {
					o.Valid(Tx, ID(tx.ID())) // a block may be quicker than gossip
				}
			}
			if own {
				o.Made(Block, id, int(b.Header().Body().Size))
				return
			}
			o.Valid(Block, id)
		},
		HeadChanged: func(c *ledger.Change) {
			if n := len(c.RolledBack); n > 0 {
				o.Count(Counts{RolledBack: n})
			}
		},
	}
}

// Publish implements Participant. Blocks come from producers.
func (g *gossip) Publish(ctx context.Context, m Message) error {
	if m.Kind != Tx {
		return fmt.Errorf("publish a %s: a node takes transactions only", m.Kind)
	}
	g.seat.Observer.Made(Tx, m.ID, len(m.Data))
	_, err := g.Backend().Submit(ctx, m.Data)
	return err
}

// Fill implements Maker.
func (g *gossip) Fill(txs []validation.CheckedTx) error { return g.Prefill(txs) }

// Head implements Chain.
func (g *gossip) Head() (height uint64, id wire.BlockID) {
	h, err := g.Backend().Head(context.Background())
	if err != nil {
		return 0, wire.BlockID{}
	}
	return h.Head.Height, h.Head.ID
}

// Included implements Chain.
func (g *gossip) Included(id ID) bool {
	status, err := g.Backend().TxStatus(context.Background(), wire.TxID(id))
	return err == nil && (status.State == api.Included || status.State == api.Final)
}

// OnChain implements Chain.
func (g *gossip) OnChain(id ID) bool {
	b, err := g.Backend().BlockByID(context.Background(), wire.BlockID(id))
	return err == nil && b.Best
}

// Banned implements Guard.
func (g *gossip) Banned(p peer.ID) bool {
	o := g.Overlay()
	return o != nil && o.Banned(p)
}

// Convicted implements Witness, by what users of the node are shown.
func (g *gossip) Convicted(producer wire.Address) bool {
	known, err := g.Backend().Evidence(context.Background())
	name := producer.Encode(g.seat.Genesis.AddressPrefix)
	return err == nil && slices.ContainsFunc(known, func(e api.Equivocation) bool { return e.Producer == name })
}

// Chosen implements Chooser.
func (g *gossip) Chosen() []peer.ID {
	return g.peers(func(p overlay.PeerInfo) bool { return p.Why != "" && p.Why != "kept" })
}

// MeshPeers implements Participant.
func (g *gossip) MeshPeers(kind Kind) []peer.ID {
	return g.peers(func(p overlay.PeerInfo) bool { return p.InTxMesh && kind == Tx || p.InBlockMesh && kind == Block })
}

// Peers implements Participant. A graylisted peer is connected and takes no part.
func (g *gossip) Peers() []peer.ID {
	return g.peers(func(p overlay.PeerInfo) bool { return !p.Guest && p.Hello != nil && p.Score >= g.graylist })
}

func (g *gossip) peers(take func(overlay.PeerInfo) bool) (ids []peer.ID) {
	if o := g.Overlay(); o != nil {
		for _, p := range o.Peers() {
			if take(p) {
				ids = append(ids, p.ID)
			}
		}
	}
	return ids
}

// judge stands between a node and its chain. It lets checked signatures take
// virtual time, one after the other as on one core, and makes a silent node
// ignore what it hears, so that it passes nothing on.
type judge struct {
	validation.Application
	cost   time.Duration // constant
	silent bool          // constant

	mu   sync.Mutex // guards what follows
	busy time.Time  // until when the core works on what came before
}

// CheckTxs implements validation.Application. The signatures are checked already.
func (j *judge) CheckTxs(ctx context.Context, now time.Time, txs []validation.CheckedTx) []error {
	if j.cost > 0 {
		time.Sleep(j.spend(len(txs)))
	}
	if j.silent {
		errs := make([]error, len(txs))
		for i := range errs {
			errs[i] = validation.Unavailable
		}
		return errs
	}
	return j.Application.CheckTxs(ctx, now, txs)
}

// spend books n checks and returns how long to wait for their end.
func (j *judge) spend(n int) time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	if j.busy.Before(now) {
		j.busy = now
	}
	j.busy = j.busy.Add(time.Duration(n) * j.cost)
	return j.busy.Sub(now)
}

// CheckHeader implements validation.Application. What a silent node fetches by
// itself it may believe.
func (j *judge) CheckHeader(ctx context.Context, now time.Time, h *wire.HeaderBody, road validation.Road) error {
	if j.silent && road == validation.Gossip {
		return validation.Unavailable
	}
	return j.Application.CheckHeader(ctx, now, h, road)
}
