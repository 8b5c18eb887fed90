package local

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/testnet/attack"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/shapes"
	"github.com/grapevine-p2p/grapevine/wire"
)

// attacker is a process that plays one among the daemons.
type attacker struct {
	name string
	id   string // its peer id
	log  string
	part attack.Part

	proc *process       // nil before it was started
	in   io.WriteCloser // what it is told; its end ends it
}

// cast deals out keys to the attackers of s. Their seats come after those of
// the daemons.
func cast(s *scenario.Scenario) ([]*attacker, error) {
	var all []*attacker
	for _, a := range s.Attackers {
		for range a.Number(s.Nodes) {
			keys, err := newKeys(2)
			if err != nil {
				return nil, err
			}
			seat := s.Nodes - s.Attacking() + len(all)
			x := &attacker{
				name: fmt.Sprintf("attacker-%02d", len(all)),
				part: attack.Part{Seat: seat, Key: keys[0].Seed(), Attack: a},
			}
			if a.Produces() && producing(all) < s.Blocks.Producers {
				x.part.Producer = keys[1].Seed()
			}
			public, err := crypto.UnmarshalEd25519PublicKey(keys[0].Public().(ed25519.PublicKey))
			if err != nil {
				return nil, err
			}
			id, err := peer.IDFromPublicKey(public)
			if err != nil {
				return nil, err
			}
			x.id = id.String()
			all = append(all, x)
		}
	}
	return all, nil
}

// producing counts those that have turns to make blocks in.
func producing(attackers []*attacker) int {
	n := 0
	for _, x := range attackers {
		if len(x.part.Producer) > 0 {
			n++
		}
	}
	return n
}

// company are those that a genesis knows beside its daemons.
type company struct {
	accounts  []wire.Address // with money
	producers []wire.Address // with turns to make blocks in
}

// keep adds what attackers own.
func (c *company) keep(attackers []*attacker) {
	for _, x := range attackers {
		c.accounts = append(c.accounts, attack.Accounts(&x.part.Attack, x.part.Seat)...)
		if len(x.part.Producer) > 0 {
			c.producers = append(c.producers, shapes.Address(ed25519.NewKeyFromSeed(x.part.Producer)))
		}
	}
}

// place tells attackers the network that was found: each dials as many daemons
// as those dial each other.
func place(attackers []*attacker, dir string, s *State, plan Plan) error {
	genesis, err := os.ReadFile(s.Genesis)
	if err != nil {
		return fmt.Errorf("read the genesis for the attackers: %w", err)
	}
	rng := rand.New(rand.NewPCG(plan.Seed, 2))
	for _, x := range attackers {
		x.log = filepath.Join(dir, x.name+".log")
		way := plan.way(0) // TCP, unless it is to be QUIC
		x.part.Genesis, x.part.Victim = genesis, s.Nodes[0].Addresses[way]
		for _, i := range rng.Perm(len(s.Nodes))[:min(plan.Dials, len(s.Nodes))] {
			x.part.Neighbours = append(x.part.Neighbours, s.Nodes[i].Addresses[way])
		}
	}
	return nil
}

// start starts the process of an attacker and tells it its part.
func (x *attacker) start(s *starter, program []string, core int) error {
	cmd := command(yielding(program), "testnet", "attacker")
	var err error
	if x.in, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if x.proc, err = s.launch(cmd, x.log, core); err != nil {
		return err
	}
	return x.tell(x.part)
}

// yielding is how to start a program that leaves the processors to all others: who measures
// must not wait for attackers.
func yielding(program []string) []string {
	nice, err := exec.LookPath("nice")
	if err != nil {
		return program
	}
	return append([]string{nice, "-n", "10"}, program...)
}

// tell tells the process one thing.
func (x *attacker) tell(what any) error {
	if err := json.NewEncoder(x.in).Encode(what); err != nil {
		return fmt.Errorf("tell %s: %w; its log ends with:\n%s", x.name, err, lastWords(x.log))
	}
	return nil
}

// stop ends the process, if there is one.
func (x *attacker) stop(limit <-chan struct{}) error {
	if x.proc == nil || !x.proc.alive() {
		return nil
	}
	_ = x.in.Close() // it may be gone already
	if err := x.proc.wait(limit); err != nil {
		return fmt.Errorf("stop %s: %w; %s says more", x.name, err, x.log)
	}
	return nil
}

// dead is the error of an attacker that ended by itself.
func (x *attacker) dead() error {
	if x.proc == nil || x.proc.alive() {
		return nil
	}
	return fmt.Errorf("%s ended by itself (%v); its log ends with:\n%s", x.name, x.proc.err, lastWords(x.log))
}
