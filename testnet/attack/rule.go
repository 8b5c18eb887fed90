package attack

import (
	"context"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"

	"github.com/grapevine-p2p/grapevine/testnet/sim"
	"github.com/grapevine-p2p/grapevine/wire"
)

// rule is how a node takes part. Its methods are called one after the other,
// by the goroutine that owns the node.
type rule interface {
	// message is called with the first copy of each message.
	message(n *node, m *message)
	// repeated is called with every further copy.
	repeated(n *node, m *message)
	// announced is called with the ids that a peer says it has.
	announced(n *node, by *line, topic string, ids []string)
	// asked is called with the ids that a peer wants.
	asked(n *node, by *line, ids []string)
	// beat is called every beatEvery.
	beat(n *node, now time.Time)
	// patience is how long the node waits before it reads the next frame of a
	// peer.
	patience() time.Duration
}

// What some rules are beside.
type (
	// eternal rules are in force before From as well.
	eternal interface{ always() }
	// aimed rules want a link to the victim of the run.
	aimed interface{ aims() }
	// boaster rules change what hello says to a peer whose chain is so high; 0 where
	// it has not said so yet.
	boaster interface {
		boast(h *wire.Hello, theirs uint64)
	}
	// supplied rules make something ready before they take part.
	supplied interface{ supply(seat sim.Seat) }
	// server rules answer requests.
	server interface {
		serve(ctx context.Context, n *node, h host.Host)
	}
)

// honest keeps every rule. Attackers embed it and replace what they break.
type honest struct{}

var _ rule = honest{}

func (honest) message(n *node, m *message) { n.forward(m) }

func (honest) repeated(*node, *message) {}

func (honest) announced(n *node, by *line, _ string, ids []string) {
	var want []string
	for _, id := range ids {
		if !n.knows(id) {
			want = append(want, id)
		}
	}
	if len(want) > 0 {
		by.control(&pb.ControlMessage{Iwant: []*pb.ControlIWant{{MessageIDs: want}}})
	}
}

func (honest) asked(n *node, by *line, ids []string) {
	for _, id := range ids {
		if m := n.kept[id]; m != nil {
			by.publish(m.carried)
		}
	}
}

func (honest) beat(*node, time.Time) {}

func (honest) patience() time.Duration { return 0 }
