package local

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/node/config"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/testnet"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	networkName = "local"
	prefix      = "gvlocal" // of addresses

	// funds of one wallet are more than any test spends, and keep the sum of
	// all within a genesis' bound.
	funds = 10_000_000_000_000

	// slotZeroIn is when the first slot begins: a producer that starts before
	// it is connected builds on itself alone.
	slotZeroIn = 2 * time.Second
)

// prepare makes a network in a folder that is empty or not there, or reads the
// one that it holds. Zero fields of the plan are the default's, or what the
// network has; others must be what it has.
func prepare(ctx context.Context, dir string, p Plan) (*State, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("use %s: %w", dir, err)
	}
	if len(entries) == 0 {
		return found(ctx, dir, p.filled(), company{})
	}
	s, err := readState(dir)
	if errors.Is(err, Missing) {
		return nil, fmt.Errorf("%s: %w", dir, NotANetwork)
	} else if err != nil {
		return nil, err
	}
	return s, p.matches(s)
}

// filled has the default's values where p has none.
func (p Plan) filled() Plan {
	d := DefaultPlan()
	if p.Nodes == 0 {
		p.Nodes = d.Nodes
	}
	if p.Producers == 0 {
		p.Producers = min(d.Producers, p.Nodes)
	}
	if p.Slot == 0 {
		p.Slot = d.Slot
	}
	if p.Dials == 0 {
		p.Dials = d.Dials
	}
	if p.Seed == 0 {
		p.Seed = d.Seed
	}
	return p
}

// matches says where p asks for something else than the network of s is.
func (p Plan) matches(s *State) error {
	var errs []error
	for _, f := range []struct {
		name       string
		want, have int64
	}{
		{"nodes", int64(p.Nodes), int64(len(s.Nodes))},
		{"producers", int64(p.Producers), int64(s.Producers)},
		{"slot in milliseconds", p.Slot.Milliseconds(), s.SlotMS},
	} {
		if f.want != 0 && f.want != f.have {
			errs = append(errs, fmt.Errorf("%w: its %s is %d, not %d", Different, f.name, f.have, f.want))
		}
	}
	return errors.Join(errs...)
}

// founding is a network while it is made.
type founding struct {
	dir     string
	plan    Plan
	genesis *wire.Genesis
	at, api []testnet.Endpoint
	graph   [][]int
	state   *State
	made    int // homes

	producers, wallets []ed25519.PrivateKey
}

// found makes a network in dir, with money for the wallet of each node and
// with what others own. On error nothing of it stays.
func found(ctx context.Context, dir string, p Plan, others company) (_ *State, err error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	f := &founding{dir: dir, plan: p, graph: dialGraph(p.Seed, p.Nodes, p.Dials)}
	_, missing := os.Stat(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for the nodes' homes: %w", err)
	}
	defer func() {
		if err == nil {
			return
		}
		for i := range f.made {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, daemonName(i))))
		}
		if missing != nil {
			err = errors.Join(err, os.Remove(dir))
		}
	}()
	if err := f.draw(others); err != nil {
		return nil, err
	}
	for i := range p.Nodes {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := f.home(i); err != nil {
			return nil, fmt.Errorf("node %d: %w", i, err)
		}
	}
	return f.state, f.state.save(dir)
}

// draw chooses keys and addresses and makes the genesis of them.
func (f *founding) draw(others company) (err error) {
	p := f.plan
	mine := p.Producers
	if mine+len(others.producers) == 0 {
		mine = 1 // one whose key nobody keeps
	}
	if f.producers, err = newKeys(mine); err != nil {
		return err
	}
	if f.wallets, err = newKeys(p.Nodes); err != nil {
		return err
	}
	if f.at, f.api, err = endpoints(p.Nodes); err != nil {
		return err
	}
	accounts := others.accounts
	for _, key := range f.wallets {
		accounts = append(accounts, keyfile.Address(key))
	}
	f.genesis = &wire.Genesis{
		Network:       networkName,
		AddressPrefix: prefix,
		Time:          uint64(time.Now().Add(slotZeroIn).UnixMilli()),
		SlotMillis:    uint32(p.Slot.Milliseconds()),
		Producers:     []wire.ProducerSet{{}},
		Rules:         []wire.RuleChange{{Version: wire.HeaderVersion}},
		Limits:        wire.DefaultLimits(),
	}
	if p.MaxBlockTxs > 0 {
		f.genesis.Limits.MaxBlockTxs = uint32(p.MaxBlockTxs)
	}
	f.genesis.Producers[0].Producers = slices.Clone(others.producers)
	for _, key := range f.producers {
		f.genesis.Producers[0].Producers = append(f.genesis.Producers[0].Producers, keyfile.Address(key))
	}
	for _, a := range accounts {
		f.genesis.Allocations = append(f.genesis.Allocations, wire.Allocation{Address: a, Amount: funds})
	}
	slices.SortFunc(f.genesis.Allocations, func(a, b wire.Allocation) int { return a.Address.Compare(b.Address) })
	if err := f.genesis.Validate(); err != nil {
		return fmt.Errorf("make the genesis: %w", err)
	}
	f.state = &State{
		Format: stateFormat, Network: networkName, NetworkID: f.genesis.ID(),
		SlotMS: p.Slot.Milliseconds(), Producers: p.Producers, Phase: Off,
	}
	return nil
}

func newKeys(n int) ([]ed25519.PrivateKey, error) {
	keys := make([]ed25519.PrivateKey, n)
	for i := range keys {
		var err error
		if _, keys[i], err = ed25519.GenerateKey(rand.Reader); err != nil {
			return nil, fmt.Errorf("draw a key: %w", err)
		}
	}
	return keys, nil
}

// endpoints finds where each node speaks to its peers, and where to its users.
func endpoints(n int) (peers, users []testnet.Endpoint, err error) {
	own := testnet.OwnAddresses(n)
	if peers, err = testnet.Endpoints(n, own); err != nil {
		return nil, nil, err
	}
	for {
		if users, err = testnet.Endpoints(n, own); err != nil {
			return nil, nil, err
		}
		if !slices.ContainsFunc(users, func(e testnet.Endpoint) bool { return slices.Contains(peers, e) }) {
			return peers, users, nil
		}
	}
}

// home makes the home of node i, after those of the nodes that it dials.
func (f *founding) home(i int) error {
	d := Daemon{Name: daemonName(i)}
	d.place(f.dir)
	settings := config.Default()
	settings.Profile = config.ProfileTestnet
	settings.Peers.Outbound = 0 // the graph is the plan's
	settings.Listen = []string{f.at[i].TCP(), f.at[i].QUIC()}
	settings.API.Listen = f.api[i].String()
	if f.plan.MempoolTxs > 0 {
		settings.Mempool.MaxCount = f.plan.MempoolTxs
	}
	for k, j := range f.graph[i] {
		settings.Bootstrap = append(settings.Bootstrap, f.state.Nodes[j].Addresses[f.plan.way(i+k)])
		f.state.Nodes[j].Links++
		d.Links++
	}
	opt := node.InitOptions{Genesis: f.genesis, Config: &settings}
	if i < f.plan.Producers {
		opt.Producer = f.producers[i]
		d.Producer = keyfile.Address(opt.Producer).Encode(prefix)
	}
	if err := node.InitHome(d.Home, opt); err != nil {
		return err
	}
	f.made = i + 1
	keys := node.KeysDir(d.Home)
	if err := os.MkdirAll(keys, 0o700); err != nil {
		return err
	}
	if err := keyfile.Create(filepath.Join(keys, "default"+keyfile.Extension), f.wallets[i], ""); err != nil {
		return err
	}
	id, err := peerID(d.Home)
	if err != nil {
		return err
	}
	d.PeerID = id.String()
	d.Addresses = []string{f.at[i].TCP() + "/p2p/" + d.PeerID, f.at[i].QUIC() + "/p2p/" + d.PeerID}
	d.APIURL = "http://" + f.api[i].String()
	d.Wallet = keyfile.Address(f.wallets[i]).Encode(prefix)
	f.state.Nodes = append(f.state.Nodes, d)
	f.state.Genesis = node.GenesisPath(f.state.Nodes[0].Home)
	return nil
}

// peerID is the identity of the node of a home.
func peerID(home string) (peer.ID, error) {
	key, err := keyfile.Load(node.NodeKeyPath(home), nil)
	if err != nil {
		return "", err
	}
	public, err := crypto.UnmarshalEd25519PublicKey(key.Public().(ed25519.PublicKey))
	if err != nil {
		return "", err
	}
	return peer.IDFromPublicKey(public)
}

// dialGraph says whom each node dials: every node draws as many others as
// asked that it has no link to yet, as in a simulated network; but of two
// nodes the later one dials, since the earlier one is up by then.
func dialGraph(seed uint64, n, dials int) [][]int {
	rng := mathrand.New(mathrand.NewPCG(seed, uint64(n)))
	graph := make([][]int, n)
	for i := range n {
		opened := 0
		for _, j := range rng.Perm(n) {
			early, late := min(i, j), max(i, j)
			if i == j || opened == dials || slices.Contains(graph[late], early) {
				continue
			}
			graph[late] = append(graph[late], early)
			opened++
		}
	}
	return graph
}

// way is which of the Addresses of a daemon is dialled the k-th time.
func (p Plan) way(k int) int {
	switch p.Transport {
	case scenario.TransportTCP:
		return 0
	case scenario.TransportQUIC:
		return 1
	}
	return k % 2
}
