package overlay

import (
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// tracer is told by pubsub what it does. Only what is needed is passed on.
type tracer struct {
	self      peer.ID
	sluice    *sluice
	outflow   *outflow
	pulls     *pulls
	inventory *inventory // may be nil
	meshed    func(p peer.ID, in bool)
	first     func(from peer.ID, raw []byte) // may be nil
	duplicate func(from peer.ID, raw []byte)
	good      func(raw []byte) // told of what others sent and proved good; may be nil
	sent      func(to peer.ID, raw []byte)
	dropped   func(to peer.ID)
	unjudged  func(from peer.ID)
}

var _ pubsub.RawTracer = (*tracer)(nil)

func (t *tracer) Graft(p peer.ID, _ string) { t.meshed(p, true) }

func (t *tracer) Prune(p peer.ID, _ string) { t.meshed(p, false) }

func (t *tracer) OnClosedOutboundStream(p peer.ID) {
	t.meshed(p, false)
	t.outflow.forget(p)
}

func (t *tracer) RecvRPC(*pubsub.RPC) {}

func (t *tracer) DuplicateMessage(m *pubsub.Message) {
	t.judged(m)
	if m.ReceivedFrom != t.self {
		t.inventory.heard(m.ReceivedFrom, m.ID)
		t.duplicate(m.ReceivedFrom, m.GetData())
	}
}

func (t *tracer) DeliverMessage(m *pubsub.Message) {
	t.judged(m)
	call(t.good, m.GetData())
}

// judged ends the way of a message that came from a peer: it is delivered, rejected, or a
// duplicate, and one of them only.
func (t *tracer) judged(m *pubsub.Message) {
	if m.ReceivedFrom != t.self {
		t.sluice.end(m.ReceivedFrom)
	}
}

func (t *tracer) SendRPC(rpc *pubsub.RPC, p peer.ID) {
	t.outflow.queued(p)
	if t.sent == nil {
		return
	}
	for _, m := range rpc.GetPublish() {
		t.sent(p, m.GetData())
	}
}

func (t *tracer) DropRPC(rpc *pubsub.RPC, p peer.ID) {
	if len(rpc.GetPublish()) > 0 {
		t.dropped(p)
	}
}

func (t *tracer) RejectMessage(m *pubsub.Message, reason string) {
	t.judged(m)
	if reason == pubsub.RejectValidationQueueFull {
		t.unjudged(m.ReceivedFrom)
	}
}

func (t *tracer) OnNewOutboundStream(p peer.ID, _ protocol.ID) { t.outflow.opened(p) }

func (t *tracer) Join(string) {}

func (t *tracer) Leave(string) {}

func (t *tracer) ValidateMessage(m *pubsub.Message) {
	now := time.Now()
	t.pulls.arrived(now, m.ReceivedFrom, m.ID, len(m.GetData()))
	t.inventory.arrived(now, m.ReceivedFrom, m.ID)
	call2(t.first, m.ReceivedFrom, m.GetData())
}

func (t *tracer) ThrottlePeer(peer.ID) {}

func (t *tracer) UndeliverableMessage(*pubsub.Message) {}
