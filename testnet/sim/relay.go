package sim

import (
	"context"
	"crypto/ed25519"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Relay makes what runs on the simulated hosts: one Participant per life of a
// seat. A seat that is restarted gets a new Participant.
type Relay interface {
	New(seat Seat) (Participant, error)
}

// RelayFunc is a function as a Relay.
type RelayFunc func(Seat) (Participant, error)

// New implements Relay.
func (f RelayFunc) New(seat Seat) (Participant, error) { return f(seat) }

// Participant is one node of the network. Its methods are called from several
// goroutines of the bubble, Publish and MeshPeers only after Ready.
type Participant interface {
	// Run makes the host, takes part until ctx ends, closes the host, and
	// returns nil once nothing of it runs any more.
	Run(ctx context.Context) error
	// Ready is closed when the participant can publish.
	Ready() <-chan struct{}
	// Publish brings a message into the network here. The participant tells
	// its seat's Observer at once that it knows it, and then its peers.
	Publish(ctx context.Context, m Message) error
	// MeshPeers are the peers that it pushes messages of a kind to.
	MeshPeers(kind Kind) []peer.ID
	// Peers are the connected peers that take part in the relay: those the
	// participant knows to speak its protocols.
	Peers() []peer.ID
}

// Maker is a Participant that makes blocks by itself, in the slots of genesis
// that are its Producer's. Where the participants are no Makers, the world has
// a block of the same size published at the same time at the same seat.
type Maker interface {
	// Fill puts checked transactions into the participant's pool as if peers
	// had sent them. It tells nobody.
	Fill(txs []validation.CheckedTx) error
}

// Chain is a Participant that follows a chain, for runs that ask whether all
// ended on one head, and what is on it.
type Chain interface {
	Head() (height uint64, id wire.BlockID)
	Included(id ID) bool // a transaction, in a block of the best chain
	OnChain(id ID) bool  // a block, the best one
}

// Guard is a Participant that bans peers.
type Guard interface {
	Banned(p peer.ID) bool
}

// Witness is a Participant that keeps evidence of equivocations.
type Witness interface {
	Convicted(producer wire.Address) bool
}

// Chooser is a Participant that finds its peers by itself.
type Chooser interface {
	Chosen() []peer.ID // those that it is connected to now
}

// Seat is a place in the network, and all that the world knows of it.
type Seat struct {
	Number     int
	Key        crypto.PrivKey // of the peer id; follows from the run's seed
	ID         peer.ID
	Neighbours []peer.AddrInfo // to be dialled; the link works both ways
	// Finds is how many peers the seat finds by itself, being told of Neighbours in its
	// first life only; zero where Neighbours is all that it dials, in every life.
	Finds int
	// NewHost makes the seat's host: it listens, has the seat's key, speaks
	// QUIC over the seat's link and nothing else, and has no limits. One host
	// at a time; whoever makes it closes it. Identify begins with it, so what
	// registers protocols right away must wait a moment of virtual time first.
	NewHost func(extra ...libp2p.Option) (host.Host, error)

	Observer *Observer          // told by this seat's participant, and by nobody else
	Silent   bool               // takes part in everything but forwards nothing
	Attack   *scenario.Attacker // what this seat is to play; nil unless it is an attacker's
	Victim   peer.AddrInfo      // an honest node, the same for all, for attackers that aim at one

	Genesis    *wire.Genesis
	Producer   ed25519.PrivateKey // nil unless the seat makes blocks
	Home       string             // an empty folder of its own, on the real disk; kept over restarts
	Disk       *vfs.MemFS         // in memory; kept over restarts
	MaxMessage int                // bytes of the largest message of this run
	TxRate     float64            // transactions per second that the whole network will see
	// VerifyCost is the virtual time that judging a transaction takes; zero
	// means that processor time is free.
	VerifyCost time.Duration
}

// Kind tells messages apart.
type Kind uint8

// Kinds of messages.
const (
	Tx Kind = iota
	Block
	kinds
)

// String names a kind.
func (k Kind) String() string {
	switch k {
	case Tx:
		return "tx"
	case Block:
		return "block"
	}
	return "unknown"
}

// ID names a message: the SHA-256 of the bytes of a Message. A transaction's
// is its wire.TxID; a Maker's block has its wire.BlockID instead.
type ID [32]byte

// Message is what the world asks a Participant to publish.
type Message struct {
	Kind Kind
	ID   ID
	Data []byte // as carried; the participant must not change it
}
