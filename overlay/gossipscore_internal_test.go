package overlay

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/gossipscore"
)

// replay feeds the model of a score with what the library tells a tracer.
type replay struct {
	params gossipscore.Params

	mu       sync.Mutex // guards what follows
	peers    map[peer.ID]*gossipscore.Peer
	invalid  map[string]bool      // messages
	valid    map[string]time.Time // when validated
	early    map[string][]peer.ID // copies that came while a message was judged
	given    map[string]bool      // message and peer: counted
	distance []string             // from the library, where there was any
	compared int
}

func (r *replay) of(p peer.ID) *gossipscore.Peer {
	if r.peers[p] == nil {
		r.peers[p] = &gossipscore.Peer{Params: r.params}
	}
	return r.peers[p]
}

func (r *replay) Graft(p peer.ID, _ string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of(p).Graft(time.Now())
}

func (r *replay) Prune(p peer.ID, _ string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of(p).Prune()
}

func (r *replay) DeliverMessage(m *pubsub.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of(m.ReceivedFrom).Deliver()
	r.valid[m.ID] = time.Now()
	r.given[m.ID+string(m.ReceivedFrom)] = true
	for _, p := range r.early[m.ID] {
		r.of(p).Copy(0)
	}
}

func (r *replay) RejectMessage(m *pubsub.Message, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if reason != pubsub.RejectValidationFailed {
		return
	}
	r.invalid[m.ID] = true
	r.of(m.ReceivedFrom).Reject()
	for _, p := range r.early[m.ID] {
		r.of(p).Reject()
	}
}

func (r *replay) DuplicateMessage(m *pubsub.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := m.ID + string(m.ReceivedFrom)
	at, valid := r.valid[m.ID]
	switch {
	case r.invalid[m.ID]:
		r.of(m.ReceivedFrom).Reject()
	case r.given[key]:
	case valid:
		r.given[key] = true
		r.of(m.ReceivedFrom).Copy(time.Since(at))
	default:
		r.given[key] = true
		r.early[m.ID] = append(r.early[m.ID], m.ReceivedFrom)
	}
}

func (r *replay) OnNewOutboundStream(peer.ID, protocol.ID) {}
func (r *replay) OnClosedOutboundStream(peer.ID)           {}
func (r *replay) Join(string)                              {}
func (r *replay) Leave(string)                             {}
func (r *replay) ValidateMessage(*pubsub.Message)          {}
func (r *replay) ThrottlePeer(peer.ID)                     {}
func (r *replay) RecvRPC(*pubsub.RPC)                      {}
func (r *replay) SendRPC(*pubsub.RPC, peer.ID)             {}
func (r *replay) DropRPC(*pubsub.RPC, peer.ID)             {}
func (r *replay) UndeliverableMessage(*pubsub.Message)     {}

// inspect compares at each of the library's own looks. Its decay and its look are two
// tickers of one second: the model may be one decay ahead or behind.
func (r *replay) inspect(now map[peer.ID]*pubsub.PeerScoreSnapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, got := range now {
		m := r.of(p)
		m.Decay(time.Now())
		topic := got.Topics["t"]
		if topic == nil {
			continue
		}
		r.compared++
		for name, pair := range map[string][2]float64{
			"first":   {m.First, topic.FirstMessageDeliveries},
			"mesh":    {m.Mesh, topic.MeshMessageDeliveries},
			"invalid": {m.Invalid, topic.InvalidMessageDeliveries},
		} {
			want, have := pair[0], pair[1]
			if decay := 1 - r.params.FirstDecay; want < have*(1-1.5*decay)-0.05 || want*(1-1.5*decay)-0.05 > have {
				r.distance = append(r.distance, fmt.Sprintf("%s of %s is %v in the library, %v in the model", name, p, have, want))
			}
		}
		// The formula, over the library's own counters, to the last digits.
		same := *m
		same.First, same.Mesh, same.Invalid, same.Time = topic.FirstMessageDeliveries, topic.MeshMessageDeliveries, topic.InvalidMessageDeliveries, topic.TimeInMesh
		same.Behaviour = got.BehaviourPenalty
		if m.Active != (topic.TimeInMesh > r.params.MeshActivation) {
			continue // it is being activated
		}
		if d := same.Score() + got.AppSpecificScore - got.Score; d > 1e-9 || d < -1e-9 {
			r.distance = append(r.distance, fmt.Sprintf("the score of %s is %v in the library, %v more in the model", p, got.Score, d))
		}
	}
}

// modelParams switches every term on, with a short activation.
func modelParams() (gossipscore.Params, *pubsub.TopicScoreParams) {
	m := gossipscore.Params{
		DecayInterval: time.Second, DecayToZero: 0.01, TopicWeight: 0.5, TopicScoreCap: 6,
		TimeInMeshWeight: 0.3, TimeInMeshQuantum: time.Second, TimeInMeshCap: 3,
		FirstWeight: 0.7, FirstDecay: 0.9, FirstCap: 15,
		MeshWeight: -0.2, MeshDecay: 0.9, MeshCap: 30, MeshThreshold: 20,
		MeshWindow: 5 * time.Second, MeshActivation: 2500 * time.Millisecond,
		FailureWeight: 0, FailureDecay: 0.9,
		InvalidWeight: -1.5, InvalidDecay: 0.95,
		BehaviourWeight: -2, BehaviourThreshold: 1, BehaviourDecay: 0.9,
	}
	return m, &pubsub.TopicScoreParams{
		TopicWeight: m.TopicWeight, TimeInMeshWeight: m.TimeInMeshWeight, TimeInMeshQuantum: m.TimeInMeshQuantum, TimeInMeshCap: m.TimeInMeshCap,
		FirstMessageDeliveriesWeight: m.FirstWeight, FirstMessageDeliveriesDecay: m.FirstDecay, FirstMessageDeliveriesCap: m.FirstCap,
		MeshMessageDeliveriesWeight: m.MeshWeight, MeshMessageDeliveriesDecay: m.MeshDecay, MeshMessageDeliveriesCap: m.MeshCap,
		MeshMessageDeliveriesThreshold: m.MeshThreshold, MeshMessageDeliveriesWindow: m.MeshWindow, MeshMessageDeliveriesActivation: m.MeshActivation,
		MeshFailurePenaltyWeight: 0, MeshFailurePenaltyDecay: m.FailureDecay,
		InvalidMessageDeliveriesWeight: m.InvalidWeight, InvalidMessageDeliveriesDecay: m.InvalidDecay,
	}
}

// TestTheModelOfScoresIsTheLibrary: the laws about scores (peerscore) are tested on a model
// of GossipSub's score that was written from its specification. Here the model is told what
// the library tells its tracer, and must count and score as the library does.
func TestTheModelOfScoresIsTheLibrary(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	params, topicScore := modelParams()
	r := &replay{
		params: params, peers: map[peer.ID]*gossipscore.Peer{}, invalid: map[string]bool{}, valid: map[string]time.Time{},
		early: map[string][]peer.ID{}, given: map[string]bool{},
	}
	hosts := make([]host.Host, 4)
	topics := make([]*pubsub.Topic, len(hosts))
	for i := range hosts {
		h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay())
		require.NoError(t, err)
		defer h.Close()
		hosts[i] = h
		options := []pubsub.Option{
			pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
			pubsub.WithMessageIdFn(func(m *pb.Message) string { return string(m.GetData()) }),
		}
		if i == 0 {
			options = append(options,
				pubsub.WithPeerScore(&pubsub.PeerScoreParams{
					Topics: map[string]*pubsub.TopicScoreParams{"t": topicScore}, TopicScoreCap: params.TopicScoreCap,
					AppSpecificScore: func(peer.ID) float64 { return 0.25 }, AppSpecificWeight: 1,
					BehaviourPenaltyWeight: params.BehaviourWeight, BehaviourPenaltyThreshold: params.BehaviourThreshold, BehaviourPenaltyDecay: params.BehaviourDecay,
					DecayInterval: params.DecayInterval, DecayToZero: params.DecayToZero, RetainScore: time.Minute,
				}, &pubsub.PeerScoreThresholds{GossipThreshold: -1e6, PublishThreshold: -2e6, GraylistThreshold: -3e6}),
				pubsub.WithPeerScoreInspect(pubsub.ExtendedPeerScoreInspectFn(r.inspect), time.Second),
				pubsub.WithRawTracer(r))
		}
		ps, err := pubsub.NewGossipSub(ctx, h, options...)
		require.NoError(t, err)
		if i == 0 {
			require.NoError(t, ps.RegisterTopicValidator("t", func(_ context.Context, _ peer.ID, m *pubsub.Message) bool { return m.GetData()[0] != 'x' }))
		}
		topics[i], err = ps.Join("t")
		require.NoError(t, err)
		stop, err := topics[i].Relay()
		require.NoError(t, err)
		defer stop()
	}
	for i := range hosts {
		for j := range i {
			require.NoError(t, hosts[i].Connect(ctx, peer.AddrInfo{ID: hosts[j].ID(), Addrs: hosts[j].Addrs()}))
		}
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 0; n < 250; n++ { // five seconds: all terms come into play
		<-tick.C
		kind := "v"
		if n%40 == 0 {
			kind = "x"
		}
		require.NoError(t, topics[1+n%3].Publish(ctx, fmt.Appendf(nil, "%s%d", kind, n)))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Greater(t, r.compared, 6)
	require.Empty(t, r.distance)
	for p, m := range r.peers {
		if p != hosts[0].ID() {
			require.Positive(t, m.First)
			require.Positive(t, m.Mesh)
		}
	}
}
