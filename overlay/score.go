package overlay

import (
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// scoreParams gives pubsub what peerscore derived for one instance with one topic.
func scoreParams(c peerscore.Config, topic string, t peerscore.Topic, app func(peer.ID) float64) (
	*pubsub.PeerScoreParams, *pubsub.PeerScoreThresholds,
) {
	r := c.Router()
	params := &pubsub.PeerScoreParams{
		Topics:                    map[string]*pubsub.TopicScoreParams{topic: topicParams(t)},
		TopicScoreCap:             r.TopicScoreCap,
		AppSpecificScore:          app,
		AppSpecificWeight:         1,
		IPColocationFactorWeight:  0, // off: see peerscore.Router
		BehaviourPenaltyWeight:    r.BehaviourWeight,
		BehaviourPenaltyThreshold: r.BehaviourThreshold,
		BehaviourPenaltyDecay:     r.BehaviourDecay,
		DecayInterval:             r.DecayInterval,
		DecayToZero:               r.DecayToZero,
		RetainScore:               r.RetainScore,
	}
	thresholds := &pubsub.PeerScoreThresholds{
		GossipThreshold:             r.Thresholds.Gossip,
		PublishThreshold:            r.Thresholds.Publish,
		GraylistThreshold:           r.Thresholds.Graylist,
		AcceptPXThreshold:           r.Thresholds.AcceptPX,
		OpportunisticGraftThreshold: r.Thresholds.OpportunisticGraft,
	}
	return params, thresholds
}

func topicParams(t peerscore.Topic) *pubsub.TopicScoreParams {
	return &pubsub.TopicScoreParams{
		SkipAtomicValidation:            true, // what peerscore leaves out is left out
		TopicWeight:                     t.Weight,
		TimeInMeshWeight:                t.TimeInMeshWeight,
		TimeInMeshQuantum:               t.TimeInMeshQuantum,
		TimeInMeshCap:                   t.TimeInMeshCap,
		FirstMessageDeliveriesWeight:    t.FirstWeight,
		FirstMessageDeliveriesDecay:     t.FirstDecay,
		FirstMessageDeliveriesCap:       t.FirstCap,
		MeshMessageDeliveriesWeight:     t.MeshWeight,
		MeshMessageDeliveriesDecay:      t.MeshDecay,
		MeshMessageDeliveriesCap:        t.MeshCap,
		MeshMessageDeliveriesThreshold:  t.MeshThreshold,
		MeshMessageDeliveriesWindow:     t.MeshWindow,
		MeshMessageDeliveriesActivation: t.MeshActivation,
		InvalidMessageDeliveriesWeight:  t.InvalidWeight,
		InvalidMessageDeliveriesDecay:   t.InvalidDecay,
	}
}

// expected is what the topics are expected to carry.
type expected struct{ tx, block peerscore.Traffic }

func (c Config) traffic() expected {
	slot := float64(c.Genesis.SlotMillis) / 1000
	return expected{
		tx:    peerscore.Traffic{PerSecond: c.Gossip.TxPerSecond, Degree: c.Gossip.D},
		block: peerscore.Traffic{PerSecond: c.Gossip.BlocksPerSlot / slot, Degree: c.Gossip.D},
	}
}
