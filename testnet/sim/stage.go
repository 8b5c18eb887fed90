package sim

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"golang.org/x/sync/errgroup"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/shapes"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// stage is a run: the world, its seats, and the course of events.
type stage struct {
	s         *scenario.Scenario
	world     *world
	graph     [][]int
	places    []*place
	producers []*place // in the order of their turns
	genesis   *wire.Genesis
	load      time.Time // when it begins
	status    *status
	course    course
	healing   healing
	trace     *trace // nil unless asked for
}

// newStage sets up everything and starts nothing. It is called in the bubble,
// whose time begins now.
func newStage(j job, relays map[string]Relay, st *status) (*stage, error) {
	s := j.Scenario
	if s.Nodes > maxSeats {
		return nil, fmt.Errorf("nodes is %d, want at most %d", s.Nodes, maxSeats)
	}
	w, err := newWorld(s)
	if err != nil {
		return nil, err
	}
	g := &stage{
		s: s, world: w, graph: dialGraph(s.Seed, s.Nodes, s.Network.Dials), status: st,
		load: time.Now().Add(s.Start.Wave + s.Settle),
	}
	if j.Trace {
		g.trace = new(trace)
		w.count()
	}
	if err := g.seat(j, relays); err != nil {
		return nil, err
	}
	return g, nil
}

// seat fills the places: who is honest, who produces, who dials whom.
func (g *stage) seat(j job, relays map[string]Relay) error {
	s := g.s
	relay, err := relayOf(relays, s.Relay)
	if err != nil {
		return err
	}
	keys := shapes.Wallets(s.Seed, s.Nodes)
	roles, err := rolesOf(s, relays)
	if err != nil {
		return err
	}
	var producing []ed25519.PrivateKey
	for i := range s.Nodes {
		p := &place{relay: relay, honest: roles[i].honest(), restart: make(chan time.Duration, 1)}
		if roles[i].relay != nil {
			p.relay = roles[i].relay
		}
		p.Number, p.Observer, p.Disk = i, &Observer{status: g.status}, vfs.NewMem()
		p.Silent, p.Attack = roles[i].silent, roles[i].attack
		p.TxRate, p.MaxMessage = s.Txs.PerSecond, max(s.Blocks.Size, wire.MaxTx)
		p.VerifyCost = s.VerifyCost
		if p.Key, p.ID, err = identity(s.Seed, i); err != nil {
			return err
		}
		p.NewHost = func(extra ...libp2p.Option) (host.Host, error) { return g.attend(g.world.newHost(i, p.Key, extra...)) }
		p.Home = filepath.Join(j.Home, fmt.Sprintf("seat-%04d", i))
		if err := os.MkdirAll(p.Home, 0o700); err != nil {
			return fmt.Errorf("make the home of seat %d: %w", i, err)
		}
		g.places = append(g.places, p)
	}
	if slices.ContainsFunc(s.Attackers, func(a scenario.Attacker) bool { return a.Links > 0 }) {
		g.graph = besieged(s.Seed, s.Nodes, s.Network.Dials, func(i int) int {
			if a := g.places[i].Attack; a != nil {
				return a.Links
			}
			return 0
		})
	}
	turns := stream(s.Seed, streamProducers).Perm(s.Nodes)
	for _, may := range []func(*place) bool{(*place).lawless, func(p *place) bool { return p.honest }} {
		for _, i := range turns {
			if p := g.places[i]; may(p) && len(producing) < producersOf(s.Blocks) {
				p.Producer = keys[i]
				producing = append(producing, keys[i])
				g.producers = append(g.producers, p)
			}
		}
	}
	if g.genesis, err = genesisOf(s, g.load.Add(s.Blocks.From), producing); err != nil {
		return err
	}
	return g.introduce()
}

// introduce tells every place its genesis and its neighbours.
func (g *stage) introduce() error {
	victim, err := g.victim()
	if err != nil {
		return err
	}
	for i, p := range g.places {
		p.Genesis, p.Victim = g.genesis, victim
		known := g.graph[i]
		if g.s.Network.Bootstrap > 0 && p.honest {
			p.Finds, known = g.s.Network.Dials, g.bootstrap(i, victim.ID)
		}
		for _, n := range known {
			at, err := multiaddr.NewMultiaddr(addrOf(n))
			if err != nil {
				return fmt.Errorf("address of seat %d: %w", n, err)
			}
			p.Neighbours = append(p.Neighbours, peer.AddrInfo{ID: g.places[n].ID, Addrs: []multiaddr.Multiaddr{at}})
		}
	}
	if g.s.Network.Bootstrap > 0 { // any two may find each other
		g.graph = dialGraph(g.s.Seed, g.s.Nodes, g.s.Nodes-1)
	}
	return nil
}

// bootstrap are the places that place i is told of where nodes find each other: the first
// honest ones after the victim, which is a node like others.
func (g *stage) bootstrap(i int, victim peer.ID) (known []int) {
	left := g.s.Network.Bootstrap
	for j, p := range g.places {
		if !p.honest || p.ID == victim || left == 0 {
			continue
		}
		left--
		if i != j {
			known = append(known, j)
		}
	}
	return known
}

// victim is the first honest place, as all see it.
func (g *stage) victim() (peer.AddrInfo, error) {
	for i, p := range g.places {
		if !p.honest {
			continue
		}
		at, err := multiaddr.NewMultiaddr(addrOf(i))
		if err != nil {
			return peer.AddrInfo{}, fmt.Errorf("address of seat %d: %w", i, err)
		}
		return peer.AddrInfo{ID: p.ID, Addrs: []multiaddr.Multiaddr{at}}, nil
	}
	return peer.AddrInfo{}, errors.New("nobody is honest")
}

// identity is the key of seat i and its peer id.
func identity(seed uint64, i int) (crypto.PrivKey, peer.ID, error) {
	from := sha256.Sum256(binary.BigEndian.AppendUint64(
		binary.BigEndian.AppendUint64([]byte("grapevine/testnet/node/1"), seed), uint64(i)))
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(from[:]))
	if err != nil {
		return nil, "", fmt.Errorf("key of seat %d: %w", i, err)
	}
	id, err := peer.IDFromPrivateKey(key)
	return key, id, err
}

func relayOf(relays map[string]Relay, name string) (Relay, error) {
	if r, ok := relays[name]; ok {
		return r, nil
	}
	return nil, fmt.Errorf("relay is %q, which this program does not have in world sim", name)
}

// AttackRelay is the name under which Child is given the relay that plays
// attackers of a kind.
func AttackRelay(kind string) string { return "attack/" + kind }

// role is what a seat is for.
type role struct {
	silent bool
	attack *scenario.Attacker
	relay  Relay // of an attacker
}

func (r role) honest() bool { return !r.silent && r.attack == nil }

// rolesOf deals out attackers and silent nodes at random.
func rolesOf(s *scenario.Scenario, relays map[string]Relay) ([]role, error) {
	roles := make([]role, s.Nodes)
	order := stream(s.Seed, streamSilent).Perm(s.Nodes)
	for i := range s.Attackers {
		a := &s.Attackers[i]
		relay, err := relayOf(relays, AttackRelay(a.Kind))
		if err != nil {
			return nil, err
		}
		for range min(a.Number(s.Nodes), len(order)) {
			roles[order[0]] = role{attack: a, relay: relay}
			order = order[1:]
		}
	}
	for range min(int(s.Silent*float64(s.Nodes)+0.5), len(order)) {
		roles[order[0]] = role{silent: true}
		order = order[1:]
	}
	if len(order) < 2 {
		return nil, errors.New("fewer than two honest nodes are left: take fewer attackers or silent nodes")
	}
	return roles, nil
}

func producersOf(b scenario.Blocks) int {
	if b.Producers == 0 && b.Count > 0 {
		return 1
	}
	return b.Producers
}

// play runs the whole course and returns when nothing of it runs any more.
func (g *stage) play() error {
	g.world.start()
	defer g.world.close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for turn, i := range stream(g.s.Seed, streamWave).Perm(len(g.places)) {
		after := g.s.Start.Wave * time.Duration(turn) / time.Duration(len(g.places))
		group.Go(func() error { return g.places[i].inhabit(ctx, after) })
	}
	group.Go(func() error {
		defer cancel()
		return g.direct(ctx)
	})
	group.Go(func() error {
		g.status.follow(ctx)
		return nil
	})
	return group.Wait()
}

// checker judges what pools are filled with, against a chain without blocks:
// that suffices for encodings and signatures.
func (g *stage) checker() (*validation.Checker, error) {
	l, err := ledger.New(g.genesis, noBlocks{})
	if err != nil {
		return nil, err
	}
	return validation.NewChecker(g.genesis, l)
}

type noBlocks struct{}

func (noBlocks) Block(wire.BlockID) (*wire.Block, error) {
	return nil, errors.New("sim: there are no blocks")
}
