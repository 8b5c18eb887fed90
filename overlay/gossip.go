package overlay

import (
	"context"
	"fmt"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// meshConfig is what distinguishes one GossipSub instance from the other.
type meshConfig struct {
	name         string
	network      wire.NetworkID
	topic        string
	protocols    []protocol.ID
	frame        int
	control      int
	workers      int
	heartbeat    time.Duration
	flood        bool
	score        peerscore.Topic
	appScore     func(peer.ID) float64
	validate     func(ctx context.Context, from peer.ID, msg *pubsub.Message) pubsub.ValidationResult
	tracer       *tracer
	inspector    *inspector
	inspectScore func(map[peer.ID]*pubsub.PeerScoreSnapshot)
}

// mesh is one running GossipSub instance with its one topic.
type mesh struct {
	topic     *pubsub.Topic // constant
	cancel    pubsub.RelayCancelFunc
	host      *boundedHost
	inspector *inspector
	sluice    *sluice
}

// join starts a GossipSub instance on h, bound to ctx, and joins its topic. It relays
// and has no subscriber: what a validator accepts it has already handed on, so there is
// no subscription that could overflow silently.
func join(ctx context.Context, h *boundedHost, c meshConfig, g Gossip, l Limits, s peerscore.Config) (*mesh, error) {
	params, thresholds := scoreParams(s, c.topic, c.score, c.appScore)
	ps, err := pubsub.NewGossipSub(ctx, h,
		pubsub.WithGossipSubProtocols(c.protocols, features),
		pubsub.WithGossipSubParams(g.params(c.heartbeat)),
		// Unsigned and without author: payloads carry their own signatures, and the id
		// covers the whole of what is carried.
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
		pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(func(m *pb.Message) string { return MessageID(c.network, m.GetTopic(), m.GetData()) }),
		pubsub.WithPeerScore(params, thresholds),
		pubsub.WithPeerScoreInspect(pubsub.ExtendedPeerScoreInspectFn(c.inspectScore), g.InspectScores),
		pubsub.WithPeerExchange(false),
		pubsub.WithFloodPublish(c.flood),
		pubsub.WithSubscriptionFilter(pubsub.WrapLimitSubscriptionFilter(
			pubsub.NewAllowlistSubscriptionFilter(c.topic), l.Subscriptions)),
		pubsub.WithMaxMessageSize(c.frame),
		pubsub.WithMaxControlMessageSize(c.control),
		pubsub.WithPeerOutboundQueueSize(g.OutboundQueue),
		pubsub.WithValidateQueueSize(g.ValidateQueue),
		pubsub.WithValidateWorkers(c.workers),
		pubsub.WithSeenMessagesTTL(g.SeenTTL),
		pubsub.WithAppSpecificRpcInspector(c.inspector.inspect),
		pubsub.WithRawTracer(c.tracer),
	)
	if err != nil {
		return nil, fmt.Errorf("overlay: start gossip of %s: %w", c.name, err)
	}
	// Inline: an async validator that is over its limit loses the message after it was
	// marked seen, for as long as that lasts.
	if err := ps.RegisterTopicValidator(c.topic, c.validate, pubsub.WithValidatorInline(true)); err != nil {
		return nil, fmt.Errorf("overlay: register validator of %s: %w", c.name, err)
	}
	topic, err := ps.Join(c.topic)
	if err != nil {
		return nil, fmt.Errorf("overlay: join topic of %s: %w", c.name, err)
	}
	cancel, err := topic.Relay()
	if err != nil {
		return nil, fmt.Errorf("overlay: relay topic of %s: %w", c.name, err)
	}
	return &mesh{topic: topic, cancel: cancel, host: h, inspector: c.inspector, sluice: c.tracer.sluice}, nil
}

// publish puts a message of our own on the topic. own is what tells the validator so.
func (m *mesh) publish(ctx context.Context, raw []byte, own any) error {
	m.inspector.published(raw) // the tracer is told of what others send only
	return m.topic.Publish(ctx, raw, pubsub.WithValidatorData(own))
}

// params are those of an instance with that heartbeat. Whatever that is, what was announced
// can be had for as long.
func (g Gossip) params(heartbeat time.Duration) pubsub.GossipSubParams {
	p := pubsub.DefaultGossipSubParams()
	p.D, p.Dlo, p.Dhi, p.Dout, p.Dscore, p.Dlazy = g.D, g.Dlo, g.Dhi, g.Dout, g.Dscore, g.Dlazy
	// Where silent peers fill a mesh, announcements show who does give: to look every two
	// seconds instead of every forty takes p90 of a small cold boot from 349 to 124 ms.
	p.OpportunisticGraftTicks, p.OpportunisticGraftPeers = uint64(max(1, opportunity/heartbeat)), 3
	p.HeartbeatInterval, p.PruneBackoff, p.GraftFloodThreshold = heartbeat, g.PruneBackoff, graftFlood
	p.HistoryLength, p.HistoryGossip = g.HistoryLength*int((g.Heartbeat+heartbeat-1)/heartbeat), g.HistoryGossip
	return p
}

// opportunity is how often a mesh of low scores looks for better peers.
const opportunity = 2100 * time.Millisecond

// features says what our protocol ids can do: those of the versions they end in.
func features(f pubsub.GossipSubFeature, id protocol.ID) bool {
	switch f {
	case pubsub.GossipSubFeatureMesh, pubsub.GossipSubFeaturePX:
		return true
	case pubsub.GossipSubFeatureIdontwant:
		return id != meshsub11
	case pubsub.GossipSubFeatureExtensions:
		return id == meshsub13 || id == blocks13
	}
	return false
}
