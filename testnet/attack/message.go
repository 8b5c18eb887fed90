package attack

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"google.golang.org/protobuf/proto"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/wire"
)

// message is one that a peer published or passed on.
type message struct {
	id      string
	from    *line
	carried *pb.Message // as it came; not to be changed
}

// ours is how the topics of Grapevine begin.
const ours = "/grapevine/"

// contentID is how many bytes of the SHA-256 of a message are its id where
// plain pubsub is set up for ids of content.
const contentID = 20

// idOf is the id by which the peers that carry m know it.
func idOf(network wire.NetworkID, m *pb.Message) string {
	switch {
	case strings.HasPrefix(m.GetTopic(), ours):
		return overlay.MessageID(network, m.GetTopic(), m.GetData())
	case m.From != nil:
		return string(m.From) + string(m.Seqno)
	}
	sum := sha256.Sum256(m.GetData())
	return string(sum[:contentID])
}

// compose makes a message of our own such as peers on the topic accept: with
// an author and a signature where theirs have them.
func (n *node) compose(topic string, data []byte) (*pb.Message, error) {
	m := &pb.Message{Topic: proto.String(topic), Data: data}
	if strings.HasPrefix(topic, ours) || n.unsigned {
		return m, nil
	}
	n.sequence++
	m.From = []byte(n.seat.ID)
	m.Seqno = binary.BigEndian.AppendUint64(nil, n.sequence)
	signed, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("attack: encode a message: %w", err)
	}
	if m.Signature, err = n.seat.Key.Sign(append([]byte("libp2p-pubsub:"), signed...)); err != nil {
		return nil, fmt.Errorf("attack: sign a message: %w", err)
	}
	return m, nil
}

// frameBytes is about how much of what an attacker publishes goes into one
// frame.
const frameBytes = 16 << 10

// publish sends count messages to everybody on a topic.
func (n *node) publish(topic string, count int, make func() []byte) {
	audience := n.audience(topic)
	for count > 0 && len(audience) > 0 {
		rpc := new(pb.RPC)
		for size := 0; count > 0 && size < frameBytes; count-- {
			m, err := n.compose(topic, make())
			if err != nil {
				return
			}
			rpc.Publish = append(rpc.Publish, m)
			size += len(m.Data)
		}
		frame, err := proto.Marshal(rpc)
		if err != nil {
			return
		}
		for _, l := range audience {
			l.raw(frame)
		}
	}
}

// txTopic is the topic of transactions: Grapevine's by its name, or the one of
// plain pubsub nodes. Empty until peers have told theirs.
func (n *node) txTopic() string {
	if mine := overlay.TxTopic(n.network); n.topics[mine] {
		return mine
	}
	if n.topics[plainTx] {
		return plainTx
	}
	return ""
}

// plainTx is what plain pubsub nodes call the topic of transactions.
const plainTx = "tx"
