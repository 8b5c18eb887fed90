package core

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/grapevine-p2p/grapevine/wire"
)

// ID names content: the beginning of the SHA-256 of network, topic and data. On
// real topics it has 20 bytes, which is what it takes on the wire here too; to
// tell the messages of one run apart, eight suffice, and a number is found
// faster. Two messages with one ID end a run.
type ID uint64

const idSize = 20

// Kind says what a Message is.
type Kind uint8

// The kinds of messages. Tx and Block are content, the others control.
const (
	Tx         Kind = iota + 1 // one encoded transaction
	Block                      // one encoded block
	IHave                      // ids that the sender could send
	IWant                      // ids that the sender asks for
	Graft                      // the sender put the receiver into its mesh
	Prune                      // and out of it
	Status                     // a wire.Hello: where the sender's chain ends
	Ask                        // a wire.SyncRequest
	Answer                     // a wire.SyncAnswer
	Membership                 // a frame of package member
	kinds
)

var kindNames = [kinds]string{
	Tx: "tx push", Block: "block push", IHave: "ihave", IWant: "iwant", Graft: "graft", Prune: "prune",
	Status: "hello", Ask: "sync request", Answer: "sync answer", Membership: "membership",
}

// String is the kind's name in reports.
func (k Kind) String() string {
	if k >= kinds {
		return "unknown"
	}
	return kindNames[k]
}

// content says whether messages of this kind are what the network is for.
func (k Kind) content() bool { return k == Tx || k == Block }

// Message is what travels over a link. It is shared by all who hold it, and
// nobody may change it.
type Message struct {
	Kind Kind
	ID   ID     // of content
	Data []byte // the encoded form of all but IHave, IWant, Graft and Prune
	IDs  []ID   // of IHave and IWant
	wire int    // bytes that one copy takes on the wire
}

// Size is the number of bytes that one copy takes on the wire, packets
// included.
func (m *Message) Size() int { return m.wire }

// What is put around data on its way. Frames are those of pubsub and of our
// request streams, rounded; a packet costs its UDP and IP headers and what
// QUIC puts around a stream's bytes.
const (
	topicFrame  = 40 // a protobuf message with the name of its topic
	idFrame     = 2 + idSize
	streamFrame = 4
	packetRoom  = 1200
	packetCost  = 28 + 30
)

// onWire is what so many framed bytes take on the wire.
func onWire(framed int) int {
	packets := max(1, (framed+packetRoom-1)/packetRoom)
	return framed + packets*packetCost
}

// content makes a message of a transaction or a block.
func content(network wire.NetworkID, kind Kind, data []byte) *Message {
	h := sha256.New()
	h.Write(network[:])
	h.Write([]byte{byte(kind)})
	h.Write(data)
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return &Message{Kind: kind, ID: ID(binary.BigEndian.Uint64(sum[:])), Data: data, wire: onWire(topicFrame + len(data))}
}

// listing makes an IHave or an IWant.
func listing(kind Kind, ids []ID) *Message {
	return &Message{Kind: kind, IDs: ids, wire: onWire(topicFrame + idFrame*len(ids))}
}

// frame makes a message of our request streams.
func frame(kind Kind, data []byte) *Message {
	return &Message{Kind: kind, Data: data, wire: onWire(streamFrame + len(data))}
}

// These say all with their kind.
var (
	graftMessage = &Message{Kind: Graft, wire: onWire(topicFrame)}
	pruneMessage = &Message{Kind: Prune, wire: onWire(topicFrame)}
)
