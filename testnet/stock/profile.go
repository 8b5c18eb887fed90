package stock

import (
	"crypto/sha256"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
)

// Profile is a way to set up the library.
type Profile struct {
	Name   string                 // of the relay, as scenarios call it
	Params pubsub.GossipSubParams // of the router
	// Queue is how many messages wait for validation, and how many for each
	// peer's stream. Zero leaves both to the library.
	Queue int
	// ContentIDs names messages by their content and leaves out author,
	// sequence number and signature. Otherwise they are as the library makes
	// them.
	ContentIDs bool
}

// Default is the library as it comes.
func Default() Profile {
	return Profile{Name: report.RelayStock, Params: pubsub.DefaultGossipSubParams()}
}

// Tuned is the library as clients of a large main network set it up: the
// parameters of Ethereum's consensus layer, and the queues of Prysm.
func Tuned() Profile {
	p := Profile{Name: report.RelayStockTuned, Params: pubsub.DefaultGossipSubParams(), Queue: 600, ContentIDs: true}
	p.Params.D = 8
	p.Params.Dlo = 6
	p.Params.Dhi = 12
	p.Params.HeartbeatInterval = 700 * time.Millisecond
	p.Params.HistoryLength = 6
	p.Params.HistoryGossip = 3
	return p
}

// Relays are the profiles by the names that scenarios use.
func Relays() map[string]sim.Relay {
	relays := make(map[string]sim.Relay)
	for _, p := range []Profile{Default(), Tuned()} {
		relays[p.Name] = Relay(p)
	}
	return relays
}

// Relay runs the library set up as p says.
func Relay(p Profile) sim.Relay {
	return sim.RelayFunc(func(seat sim.Seat) (sim.Participant, error) { return newNode(p, seat, seat.Observer), nil })
}

// idBytes is how much of the SHA-256 of a message is its content id.
const idBytes = 20

func contentID(m *pb.Message) string {
	sum := sha256.Sum256(m.GetData())
	return string(sum[:idBytes])
}

// options turns p into the library's own words. maxMessage is the size of the
// largest message of the run.
func (p Profile) options(maxMessage int) []pubsub.Option {
	opts := []pubsub.Option{pubsub.WithGossipSubParams(p.Params)}
	if p.Queue > 0 {
		opts = append(opts, pubsub.WithPeerOutboundQueueSize(p.Queue), pubsub.WithValidateQueueSize(p.Queue))
	}
	if p.ContentIDs {
		opts = append(opts,
			pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
			pubsub.WithMessageIdFn(contentID))
	}
	if maxMessage >= pubsub.DefaultMaxMessageSize {
		// Twice, since what is around a message counts as well.
		opts = append(opts, pubsub.WithMaxMessageSize(2*maxMessage))
	}
	return opts
}
