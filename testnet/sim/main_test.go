package sim_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"

	"github.com/grapevine-p2p/grapevine/testnet/sim"
)

// TestMain lets the test binary be the child of the runs that tests ask for,
// with relays that misbehave in ways of their own.
func TestMain(m *testing.M) {
	sim.Child(map[string]sim.Relay{
		"deaf":    sim.RelayFunc(withOneDeaf),
		"refuses": sim.RelayFunc(func(sim.Seat) (sim.Participant, error) { return nil, errors.New("no seat is good enough") }),
		"panics":  relay(func(context.Context) error { panic("a bug in the code under test") }),
		"leaves":  relay(func(context.Context) error { return nil }),
		"fails":   relay(func(context.Context) error { return errors.New("the disk is gone") }),
		"talks": relay(func(ctx context.Context) error {
			fmt.Println(`{"error":"this is not a frame"}`)
			<-ctx.Done()
			return nil
		}),
		"leaks": relay(func(ctx context.Context) error {
			go func() { select {} }()
			<-ctx.Done()
			return nil
		}),
		"stalls": relay(func(ctx context.Context) error {
			sim.Sleep(ctx, 3*time.Second)
			for ctx.Err() == nil { //nolint:revive // virtual time stands still from now on
			}
			return nil
		}),
		"spins": relay(func(ctx context.Context) error {
			for ctx.Err() == nil { //nolint:revive // virtual time stands still meanwhile
			}
			return nil
		}),
	})
	goleak.VerifyTestMain(m)
}

// stub is a participant that does nothing but what run does.
type stub struct {
	run   func(ctx context.Context) error
	ready chan struct{}
}

func relay(run func(ctx context.Context) error) sim.Relay {
	return sim.RelayFunc(func(sim.Seat) (sim.Participant, error) {
		s := stub{run, make(chan struct{})}
		close(s.ready)
		return s, nil
	})
}

func (s stub) Run(ctx context.Context) error              { return s.run(ctx) }
func (s stub) Ready() <-chan struct{}                     { return s.ready }
func (s stub) Publish(context.Context, sim.Message) error { return nil }
func (s stub) MeshPeers(sim.Kind) []peer.ID               { return nil }
func (s stub) Peers() []peer.ID                           { return nil }
