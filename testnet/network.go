package testnet

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/grapevine-p2p/grapevine/internal/traffic"
	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/config"
	"github.com/grapevine-p2p/grapevine/wire"
)

// bootstraps is how many earlier nodes a node is told of. With fewer, one lost
// connection could split a small network; with all, every mesh would be full
// and relaying would not be seen.
const bootstraps = 3

// network is a set of nodes that know each other. New nodes hold files and
// locks: whoever makes one closes it.
type network struct {
	genesis   *wire.Genesis
	nodes     []*node.Node
	at        []Endpoint
	producer  []bool
	neighbour []int // planned connections of each node
	bandwidth []*traffic.Counter
}

// home makes the folder that holds the nodes' homes, and what removes it.
func home(dir string) (string, func(), error) {
	if dir == "" {
		dir, err := os.MkdirTemp("", "grapevine-demo-")
		if err != nil {
			return "", nil, fmt.Errorf("make a temporary folder: %w", err)
		}
		return dir, func() { os.RemoveAll(dir) }, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("make the folder for the nodes' homes: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", nil, fmt.Errorf("read the folder for the nodes' homes: %w", err)
	}
	if len(entries) > 0 {
		return "", nil, fmt.Errorf("%s is not empty: a demo starts a fresh network; choose another folder or empty this one", dir)
	}
	return dir, func() {}, nil
}

// newNetwork opens o.Nodes nodes below dir. Node i is told of up to bootstraps
// earlier ones, by TCP and by QUIC in turns.
func newNetwork(o DemoOptions, dir string, g *wire.Genesis, producers []ed25519.PrivateKey, w *watch) (_ *network, err error) {
	net := &network{genesis: g, neighbour: make([]int, o.Nodes)}
	defer func() {
		if err != nil {
			net.close()
		}
	}()
	if net.at, err = Endpoints(o.Nodes, !o.oneAddress && OwnAddresses(o.Nodes)); err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(o.Seed, uint64(o.Nodes)))
	for i := range o.Nodes {
		name := fmt.Sprintf("node-%02d", i)
		cfg := node.DefaultConfig(filepath.Join(dir, name))
		cfg.Profile = config.ProfileTestnet
		cfg.ListenAddrs = []string{net.at[i].TCP(), net.at[i].QUIC()}
		cfg.Dial.Outbound = 0   // who dials whom is drawn here
		cfg.API.Disabled = true // the demo speaks to the backend in its own process
		cfg.Logger = o.Logger
		for k, j := range rng.Perm(i)[:min(i, bootstraps)] {
			addr := net.at[j].TCP()
			if (i+k)%2 == 0 {
				addr = net.at[j].QUIC()
			}
			cfg.Bootstrap = append(cfg.Bootstrap, fmt.Sprintf("%s/p2p/%s", addr, net.nodes[j].ID()))
			net.neighbour[i]++
			net.neighbour[j]++
		}
		counter := new(traffic.Counter)
		cfg.Bandwidth = counter
		cfg.Observe = w.hooks(i)
		var key ed25519.PrivateKey
		if i < len(producers) {
			key = producers[i]
		}
		if o.edit != nil {
			o.edit(i, &cfg)
		}
		n, err := open(cfg, g, key)
		if err != nil {
			return nil, fmt.Errorf("node %d: %w", i, err)
		}
		net.nodes = append(net.nodes, n)
		net.producer = append(net.producer, key != nil)
		net.bandwidth = append(net.bandwidth, counter)
	}
	return net, nil
}

// open makes a home for a node and opens it.
func open(cfg node.Config, g *wire.Genesis, producer ed25519.PrivateKey) (*node.Node, error) {
	if err := node.InitHome(cfg.Home, node.InitOptions{Genesis: g, Producer: producer}); err != nil {
		return nil, err
	}
	return node.New(cfg)
}

// close lets go of what the nodes hold. After Run it does nothing.
func (net *network) close() {
	for _, n := range net.nodes {
		n.Close() // nothing was written that could be lost
	}
}

// wire is what all nodes have written to their streams.
func (net *network) wire() uint64 {
	var sum int64
	for _, c := range net.bandwidth {
		sum += c.Out()
	}
	return uint64(sum)
}

// view is what the nodes say of their connections.
type view [][]api.Peer

func (net *network) view(ctx context.Context) (view, error) {
	v := make(view, len(net.nodes))
	for i, n := range net.nodes {
		peers, err := n.Backend().Peers(ctx)
		if err != nil {
			return nil, fmt.Errorf("ask node %d for its peers: %w", i, err)
		}
		v[i] = peers
	}
	return v, nil
}

// joined waits until every node has its planned connections, and the meshes
// of both topics join all nodes. tell is told what it waits for.
func (net *network) joined(ctx context.Context, tell func(missing string)) error {
	var missing string
	var failed error
	if !until(ctx, func() bool {
		var v view
		if v, failed = net.view(ctx); failed != nil {
			return true
		}
		missing = net.missing(v)
		tell(missing)
		return missing == ""
	}) {
		return fmt.Errorf("%s: %w", missing, context.Cause(ctx))
	}
	return failed
}

// missing says what v lacks of a network at work, or nothing.
func (net *network) missing(v view) string {
	for i, peers := range v {
		if len(peers) < net.neighbour[i] {
			return fmt.Sprintf("node %d has %d of %d connections", i, len(peers), net.neighbour[i])
		}
	}
	ids := make([]string, len(net.nodes))
	for i, n := range net.nodes {
		ids[i] = n.ID().String()
	}
	for _, mesh := range []struct {
		name string
		in   func(api.Peer) bool
	}{
		{"transaction", func(p api.Peer) bool { return p.InTxMesh }},
		{"block", func(p api.Peer) bool { return p.InBlockMesh }},
	} {
		if n := Reach(v, ids, mesh.in); n < len(v) {
			return fmt.Sprintf("the %s mesh joins %d of %d nodes", mesh.name, n, len(v))
		}
	}
	return ""
}

// Reach is how many nodes a walk from node 0 along mesh links meets. What v
// holds is what each node, at most 64 of them, says of its connections; ids are
// their peer ids. A link counts when either end has the other in its mesh.
func Reach(v [][]api.Peer, ids []string, in func(api.Peer) bool) int {
	links := make([]nodeSet, len(v))
	for i, peers := range v {
		for _, p := range peers {
			if j := slices.Index(ids, p.ID); j >= 0 && in(p) {
				links[i].add(j)
				links[j].add(i)
			}
		}
	}
	met, walk := nodeSet(1), []int{0}
	for len(walk) > 0 {
		at := walk[0]
		walk = walk[1:]
		for j := range v {
			if links[at].has(j) && met.add(j) {
				walk = append(walk, j)
			}
		}
	}
	return met.count()
}

// links is how many pairs of nodes are connected.
func (v view) links() int {
	n := 0
	for _, peers := range v {
		n += len(peers)
	}
	return n / 2
}

// over is how many of the links run over a transport, by a part of its
// multiaddr.
func (v view) over(transport string) int {
	n := 0
	for _, peers := range v {
		for _, p := range peers {
			if slices.ContainsFunc(p.Addrs, func(a string) bool { return strings.Contains(a, transport) }) {
				n++
			}
		}
	}
	return n / 2
}

// pollEvery is short beside a slot and long beside what a poll costs.
const pollEvery = 25 * time.Millisecond

// until polls done until it holds, or ctx ends and it still does not.
func until(ctx context.Context, done func() bool) bool {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if done() {
			return true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return done()
		}
	}
}
