package overlay

import (
	"context"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
)

// WaitingTick is the tick of waiting headers.
const WaitingTick = waitingTick

// PublishRaw publishes bytes on the block topic unchecked, as a hostile node would.
func PublishRaw(ctx context.Context, o *Overlay, raw []byte) { o.blocks.Load().publish(ctx, raw) }

// Trimmer is what the RPC inspector does to messages and control.
func Trimmer(topic string) func([]*pb.Message, *pb.ControlMessage) ([]*pb.Message, *pb.ControlMessage) {
	trim := trimmer(topic, DefaultLimits())
	return func(m []*pb.Message, c *pb.ControlMessage) ([]*pb.Message, *pb.ControlMessage) {
		rpc := new(pubsub.RPC)
		rpc.Publish, rpc.Control = m, c
		_ = trim("", rpc)
		return rpc.Publish, rpc.Control
	}
}

// StreamBudgets is how many connections have a budget of gossip streams.
func StreamBudgets(o *Overlay) int {
	o.streams.mu.Lock()
	defer o.streams.mu.Unlock()
	return len(o.streams.conns)
}
