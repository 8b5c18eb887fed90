package attack

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Part is what an attacker among real nodes is told.
type Part struct {
	Seat       int
	Key        []byte   // the Ed25519 seed of its peer id
	Neighbours []string // multiaddrs that end in /p2p/ID, to be dialled
	Victim     string   // one such, for attackers that aim at one
	Genesis    []byte   // in JSON
	Producer   []byte   // the Ed25519 seed with which it makes blocks; empty where it does not
	Attack     scenario.Attacker
}

// Cue says when the load begins, in unix milliseconds: the times of an attack
// count from there.
type Cue struct{ LoadAt int64 }

// Play plays an attacker against the nodes of this machine: real sockets, real
// time. It reads a [Part], and later a [Cue], as JSON from in, and returns nil
// when in or ctx ends.
func Play(ctx context.Context, in io.Reader) error {
	said := json.NewDecoder(in)
	var part Part
	if err := said.Decode(&part); err != nil {
		return fmt.Errorf("attack: read the part to play: %w", err)
	}
	n, err := part.node()
	if err != nil {
		return fmt.Errorf("attack: take the part of seat %d: %w", part.Seat, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var broken atomic.Pointer[error]
	go func() { // it ends with in, or with this process
		defer cancel()
		for {
			var c Cue
			if err := said.Decode(&c); err != nil {
				if !errors.Is(err, io.EOF) {
					broken.Store(&err)
				}
				return
			}
			n.cue(time.UnixMilli(c.LoadAt))
		}
	}()
	err = n.Run(ctx)
	if b := broken.Load(); b != nil {
		return errors.Join(err, fmt.Errorf("attack: read the cue: %w", *b))
	}
	return err
}

// node is the attacker of the part, at a seat among real sockets.
func (p *Part) node() (*node, error) {
	if len(p.Key) != ed25519.SeedSize || len(p.Producer) != 0 && len(p.Producer) != ed25519.SeedSize {
		return nil, fmt.Errorf("keys of %d and %d bytes, want seeds of %d", len(p.Key), len(p.Producer), ed25519.SeedSize)
	}
	r, err := ruleOf(&p.Attack)
	if err != nil {
		return nil, err
	}
	seat := sim.Seat{Number: p.Seat, Attack: &p.Attack}
	if seat.Key, err = crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(p.Key)); err != nil {
		return nil, err
	}
	if seat.ID, err = peer.IDFromPrivateKey(seat.Key); err != nil {
		return nil, err
	}
	if seat.Genesis, err = wire.ParseGenesis(p.Genesis); err != nil {
		return nil, err
	}
	if len(p.Producer) > 0 {
		seat.Producer = ed25519.NewKeyFromSeed(p.Producer)
	}
	for _, text := range p.Neighbours {
		near, err := peer.AddrInfoFromString(text)
		if err != nil {
			return nil, err
		}
		seat.Neighbours = append(seat.Neighbours, *near)
	}
	victim, err := peer.AddrInfoFromString(p.Victim)
	if err != nil {
		return nil, err
	}
	seat.Victim = *victim
	// It dials and is not dialled: honest nodes have no reason to know it.
	seat.NewHost = func(extra ...libp2p.Option) (host.Host, error) {
		return libp2p.New(append([]libp2p.Option{
			libp2p.Identity(seat.Key), libp2p.NoListenAddrs, libp2p.DisableRelay(), libp2p.DisableMetrics(),
			libp2p.ResourceManager(&network.NullResourceManager{}),
		}, extra...)...)
	}
	n := newNode(seat, r)
	n.impatient = true
	return n, nil
}
