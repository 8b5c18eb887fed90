package stock

import (
	"crypto/sha256"
	"maps"
	"slices"
	"sync"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/grapevine-p2p/grapevine/testnet/sim"
)

// tracer is told by the library what it does: it counts copies and what was
// given up, and knows the mesh. It does not tell of deliveries.
type tracer struct {
	self    peer.ID // constant
	witness witness // constant

	mu     sync.Mutex // guards what follows
	meshes map[string]map[peer.ID]bool
}

var _ pubsub.RawTracer = (*tracer)(nil)

func newTracer(self peer.ID, w witness) *tracer {
	return &tracer{self: self, witness: w, meshes: make(map[string]map[peer.ID]bool)}
}

// mesh lists the peers in the mesh of a topic, in order.
func (t *tracer) mesh(topic string) []peer.ID {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.meshes[topic]))
}

// Graft implements pubsub.RawTracer.
func (t *tracer) Graft(p peer.ID, topic string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.meshes[topic] == nil {
		t.meshes[topic] = make(map[peer.ID]bool)
	}
	t.meshes[topic][p] = true
}

// Prune implements pubsub.RawTracer.
func (t *tracer) Prune(p peer.ID, topic string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.meshes[topic], p)
}

// OnClosedOutboundStream implements pubsub.RawTracer.
func (t *tracer) OnClosedOutboundStream(p peer.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, mesh := range t.meshes {
		delete(mesh, p)
	}
}

// DeliverMessage implements pubsub.RawTracer.
func (t *tracer) DeliverMessage(m *pubsub.Message) { t.copied(m) }

// DuplicateMessage implements pubsub.RawTracer.
func (t *tracer) DuplicateMessage(m *pubsub.Message) { t.copied(m) }

// RejectMessage implements pubsub.RawTracer. The library may do so for load.
func (t *tracer) RejectMessage(m *pubsub.Message, reason string) {
	t.copied(m)
	if reason == pubsub.RejectValidationQueueFull || reason == pubsub.RejectValidationThrottled {
		t.witness.Count(sim.Counts{Dropped: 1})
	}
}

// copied counts a message that came from a peer. The library ends the way of
// each of them in one of three manners.
func (t *tracer) copied(m *pubsub.Message) {
	if kind, ok := kindOf(m); ok && m.ReceivedFrom != t.self {
		t.witness.Copy(kind, idOf(m))
	}
}

// DropRPC implements pubsub.RawTracer: a peer's queue was full.
func (t *tracer) DropRPC(rpc *pubsub.RPC, _ peer.ID) {
	t.witness.Count(sim.Counts{Dropped: len(rpc.GetPublish())})
}

// UndeliverableMessage implements pubsub.RawTracer: the subscription was full.
func (t *tracer) UndeliverableMessage(*pubsub.Message) { t.witness.Count(sim.Counts{Dropped: 1}) }

// OnNewOutboundStream implements pubsub.RawTracer.
func (t *tracer) OnNewOutboundStream(peer.ID, protocol.ID) {}

// Join implements pubsub.RawTracer.
func (t *tracer) Join(string) {}

// Leave implements pubsub.RawTracer.
func (t *tracer) Leave(string) {}

// ValidateMessage implements pubsub.RawTracer.
func (t *tracer) ValidateMessage(*pubsub.Message) {}

// ThrottlePeer implements pubsub.RawTracer.
func (t *tracer) ThrottlePeer(peer.ID) {}

// RecvRPC implements pubsub.RawTracer.
func (t *tracer) RecvRPC(*pubsub.RPC) {}

// SendRPC implements pubsub.RawTracer.
func (t *tracer) SendRPC(*pubsub.RPC, peer.ID) {}

func kindOf(m *pubsub.Message) (sim.Kind, bool) {
	for kind, topic := range topics {
		if m.GetTopic() == topic {
			return kind, true
		}
	}
	return 0, false
}

func idOf(m *pubsub.Message) sim.ID { return sha256.Sum256(m.GetData()) }
