package overlay

import (
	"crypto/sha256"

	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/grapevine-p2p/grapevine/wire"
)

// ProtocolVersion is what our hello says; minProtocolVersion is the oldest that we
// still understand. A newer peer is welcome: every other protocol carries its version
// in its id, so what we cannot speak with it is never opened.
const (
	ProtocolVersion    = 1
	minProtocolVersion = 1
)

// HelloProtocol names no network, so that a peer of another network can be told so.
const HelloProtocol = protocol.ID("/grapevine/hello/1")

const (
	meshsub11 = protocol.ID("/meshsub/1.1.0")
	meshsub12 = protocol.ID("/meshsub/1.2.0")
	meshsub13 = protocol.ID("/meshsub/1.3.0")
	blocks12  = protocol.ID("/grapevine/blocks/meshsub/1.2.0")
	blocks13  = protocol.ID("/grapevine/blocks/meshsub/1.3.0")
)

// txProtocols and blockProtocols are the stream protocols of the two GossipSub
// instances, preferred first. The transaction instance speaks the standard ids, so
// that any GossipSub client can join it.
var (
	txProtocols    = []protocol.ID{meshsub13, meshsub12, meshsub11}
	blockProtocols = []protocol.ID{blocks13, blocks12}
)

// TxTopic is the topic of transactions of a network.
func TxTopic(n wire.NetworkID) string { return "/grapevine/" + n.Short() + "/tx/1" }

// BlockTopic is the topic of headers in compact form of a network.
func BlockTopic(n wire.NetworkID) string { return "/grapevine/" + n.Short() + "/block/1" }

// CompactProtocol asks a peer for the transactions of a block that one lacks.
func CompactProtocol(n wire.NetworkID) protocol.ID {
	return protocol.ID("/grapevine/" + n.Short() + "/compact/1")
}

// SyncProtocol asks a peer for blocks by height range or id.
func SyncProtocol(n wire.NetworkID) protocol.ID {
	return protocol.ID("/grapevine/" + n.Short() + "/sync/1")
}

// AnnounceProtocol tells a peer of transactions, and sends it those that it lacks.
func AnnounceProtocol(n wire.NetworkID) protocol.ID {
	return protocol.ID("/grapevine/" + n.Short() + "/announce/1")
}

// ReconProtocol compares what two peers have pooled.
func ReconProtocol(n wire.NetworkID) protocol.ID {
	return protocol.ID("/grapevine/" + n.Short() + "/recon/1")
}

// FetchProtocol asks a peer for transactions by their ids.
func FetchProtocol(n wire.NetworkID) protocol.ID {
	return protocol.ID("/grapevine/" + n.Short() + "/fetch/1")
}

// MemberProtocol tells peers who lives.
func MemberProtocol(n wire.NetworkID) protocol.ID {
	return protocol.ID("/grapevine/" + n.Short() + "/member/1")
}

// messageIDSize is the length of a gossip message id.
const messageIDSize = 20

// MessageID is the id by which both GossipSub instances know a message: the first 20
// bytes of SHA-256 over the network id, the topic and the data. It covers nothing that
// a relay could change without changing the message.
func MessageID(n wire.NetworkID, topic string, data []byte) string {
	h := sha256.New()
	h.Write(n[:])
	h.Write([]byte(topic))
	h.Write(data)
	return string(h.Sum(make([]byte, 0, sha256.Size))[:messageIDSize])
}
