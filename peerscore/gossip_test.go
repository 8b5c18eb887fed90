package peerscore_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// seen is what the router counted of one mesh peer.
type seen struct{ inMesh, first, copies, invalid float64 }

// score is the router's formula for one topic (P1 to P4 of the GossipSub 1.1
// specification), after activation.
func score(p peerscore.Topic, c seen) float64 {
	s := min(c.inMesh, p.TimeInMeshCap)*p.TimeInMeshWeight + min(c.first, p.FirstCap)*p.FirstWeight
	if deficit := p.MeshThreshold - min(c.copies, p.MeshCap); deficit > 0 {
		s += deficit * deficit * p.MeshWeight
	}
	return p.Weight * (s + c.invalid*c.invalid*p.InvalidWeight)
}

func drawTraffic(t *rapid.T) peerscore.Traffic {
	return peerscore.Traffic{
		PerSecond: math.Exp(rapid.Float64Range(math.Log(1e-6), math.Log(1e6)).Draw(t, "log rate")),
		Degree:    rapid.IntRange(1, 64).Draw(t, "degree"),
		EveryCopy: rapid.Bool().Draw(t, "every copy"),
	}
}

// TestTopicInvariants holds for whatever traffic is expected.
func TestTopicInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := peerscore.DefaultConfig()
		traffic := drawTraffic(t)
		p, err := c.Topic(traffic)
		require.NoError(t, err)
		const tiny = 1e-6

		best := score(p, seen{inMesh: 1e9, first: 1e12, copies: 1e12})
		require.LessOrEqual(t, best, c.TopicScoreCap+tiny, "no topic gives more than the cap")

		silent := score(p, seen{inMesh: 1e9})
		require.LessOrEqual(t, silent, tiny, "a silent mesh peer cannot stay positive (CVE-2022-47547)")

		newcomer := score(p, seen{})
		require.GreaterOrEqual(t, newcomer, -c.TopicScoreCap*0.2-tiny)
		if p.MeshWeight != 0 {
			require.GreaterOrEqual(t, p.MeshThreshold, 1.0)
			quiet := score(p, seen{inMesh: p.TimeInMeshCap})
			require.InDelta(t, 0, quiet, tiny, "a quiet hour makes nobody negative")
		} else {
			require.Zero(t, newcomer)
		}

		one := score(p, seen{inMesh: 1e9, first: 1e12, copies: 1e12, invalid: 1})
		require.LessOrEqual(t, one, tiny, "one invalid message outweighs the best behaviour")
		three := score(p, seen{inMesh: 1e9, first: 1e12, copies: 1e12, invalid: 3})
		require.Less(t, three, c.Thresholds.Graylist, "three are a graylisting")
	})
}

func TestFirstDeliveriesAreWorthWhatTheyCost(t *testing.T) {
	c := peerscore.DefaultConfig()
	p, err := c.Topic(peerscore.Traffic{PerSecond: 80, Degree: 8})
	require.NoError(t, err)
	counter := 0.0
	for range 3600 { // a peer that is first exactly with its share, 10 a second
		counter = (counter + 10) * p.FirstDecay
	}
	require.InDelta(t, 8, counter*p.FirstWeight, 0.25, "half of the most")
}

func TestTopicsTooQuietToJudgeSilence(t *testing.T) {
	c := peerscore.DefaultConfig()
	for _, traffic := range []peerscore.Traffic{
		{PerSecond: 0.2, Degree: 8, EveryCopy: true},  // blocks
		{PerSecond: 500, Degree: 8, EveryCopy: false}, // another relay carries them
	} {
		p, err := c.Topic(traffic)
		require.NoError(t, err)
		require.Zero(t, p.MeshWeight)
		require.Zero(t, p.TimeInMeshWeight)
	}
}

func TestTrafficIsRefused(t *testing.T) {
	c := peerscore.DefaultConfig()
	for _, rate := range []float64{math.NaN(), math.Inf(1), 0, -1, 1e12} {
		_, err := c.Topic(peerscore.Traffic{PerSecond: rate, Degree: 8})
		require.Error(t, err, "rate %v", rate)
	}
	_, err := c.Topic(peerscore.Traffic{PerSecond: 1})
	require.ErrorContains(t, err, "Degree")
}

func TestRouterSettings(t *testing.T) {
	c := peerscore.DefaultConfig()
	r := c.Router()
	require.NoError(t, r.Thresholds.Validate())
	excess := 10 - r.BehaviourThreshold
	require.InDelta(t, c.Thresholds.Gossip, r.BehaviourWeight*excess*excess, 1e-9, "ten early re-grafts cost the gossip")
	require.Greater(t, r.BehaviourDecay, 0.0)
	require.Less(t, r.BehaviourDecay, 1.0)
	require.LessOrEqual(t, r.RetainScore, time.Minute, "nothing else bounds how many the router keeps that are gone")
}
