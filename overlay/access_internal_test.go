package overlay

import (
	"context"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// WaitingTick is the tick of waiting headers.
const WaitingTick = waitingTick

// PublishRaw publishes bytes on the block topic unchecked, as a hostile node would.
func PublishRaw(ctx context.Context, o *Overlay, raw []byte) { o.blocks.Load().publish(ctx, raw) }

// StreamBudgets is how many connections have a budget of gossip streams.
func StreamBudgets(o *Overlay) int {
	o.streams.mu.Lock()
	defer o.streams.mu.Unlock()
	return len(o.streams.conns)
}

// Inspect is what the inspector of transactions makes of messages and control of a peer that
// is in the mesh or not.
func Inspect(o *Overlay, from peer.ID, meshed bool, m []*pb.Message, c *pb.ControlMessage) ([]*pb.Message, *pb.ControlMessage) {
	i := newInspector(o, TxTopic(o.id), func(peer.ID) bool { return meshed }, func(b *budget) *admission { return b.txs })
	rpc := new(pubsub.RPC)
	rpc.Publish, rpc.Control = m, c
	_ = i.inspect(from, rpc)
	return rpc.Publish, rpc.Control
}

// Judged says whether p's connection is old enough to be judged by two blocks of a turn.
func Judged(o *Overlay, p peer.ID) bool {
	t := o.blocks.Load().twins
	t.mu.Lock()
	defer t.mu.Unlock()
	_, fresh := t.fresh[p]
	return !fresh && t.blind == 0
}

// Holds says whether a peer is known to have a transaction, by what passed between it and o.
func Holds(o *Overlay, p peer.ID, id wire.TxID) bool {
	o.holders.mu.Lock()
	defer o.holders.mu.Unlock()
	return o.holders.links.Known(peerscore.PeerID(p), id)
}

// NoteHolder notes that a peer has a transaction.
func NoteHolder(o *Overlay, p peer.ID, id wire.TxID) { o.holders.holds(p, id) }

// Serving is how many requests of a protocol are being served.
func Serving(o *Overlay, id protocol.ID) (n int) {
	o.roster.mu.Lock()
	defer o.roster.mu.Unlock()
	for _, m := range o.roster.members {
		m.budget.mu.Lock()
		n += m.budget.serving[id]
		m.budget.mu.Unlock()
	}
	return n
}

// UnderWay is the number of blocks that are being put together.
func UnderWay(o *Overlay) int {
	b := o.blocks.Load()
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.rebuilding)
}
