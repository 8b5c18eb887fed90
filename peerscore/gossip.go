package peerscore

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Traffic is what a node expects of one topic.
type Traffic struct {
	// PerSecond is the number of messages the whole network publishes.
	PerSecond float64

	// Degree is D, the number of peers in a mesh.
	Degree int

	// EveryCopy says that each mesh peer is expected to send its own copy of
	// every message soon after the first. It is false where the router
	// suppresses copies (IDONTWANT on large messages) or where another relay
	// takes the place of pushing: silence proves nothing there.
	EveryCopy bool
}

// Router has the settings of GossipSub's peer score that no topic has. The
// weight of the application's score is 1. P6, for peers that share an address, is
// off: the router counts a peer whose score is not positive for as long as it
// keeps the score, connected or not, so that anybody could have those who share
// its address blamed by coming as one peer after another. How many an address
// may connect is bounded where connections come in, and what its peers did wrong
// is held against it by a Book.
type Router struct {
	Thresholds    Thresholds
	TopicScoreCap float64

	DecayInterval time.Duration
	DecayToZero   float64
	RetainScore   time.Duration

	// P7: misbehaviour that the router sees (early re-grafts, broken IWANTs).
	BehaviourWeight    float64
	BehaviourThreshold float64
	BehaviourDecay     float64
}

// Topic has the settings of GossipSub's peer score for one topic, by the
// names P1 to P4 of its specification. Its weight among topics is 1.
type Topic struct {
	Weight float64

	// P1: time in the mesh.
	TimeInMeshWeight  float64
	TimeInMeshQuantum time.Duration
	TimeInMeshCap     float64

	// P2: first deliveries.
	FirstWeight, FirstDecay, FirstCap float64

	// P3: copies expected in the mesh. All zero if silence is not judged.
	MeshWeight, MeshDecay, MeshCap, MeshThreshold float64
	MeshWindow, MeshActivation                    time.Duration

	// P4: invalid messages.
	InvalidWeight, InvalidDecay float64
}

// Each counter's decay is stated as the time in which the router's counter
// falls from 1 to decayToZero, the form in which Lighthouse derives all of
// its parameters.
const (
	decayInterval = time.Second // the smallest the router accepts
	decayToZero   = 0.01        // the router's default

	// Lotus' ten minutes for messages: long enough to average bursts,
	// short enough that former merit is not a licence.
	deliveryMemory = 10 * time.Minute

	// An hour, as Lotus has it: an invalid message outlives the merit of
	// many good ones.
	invalidMemory   = time.Hour
	behaviourMemory = 10 * time.Minute

	// How long the router keeps the counters of a peer that left and has no
	// positive score. It keeps those of every identity, however many come and
	// go, and looks at all of them each second (1.3 KB and 2.6 µs in each of a
	// node's two routers; an IPv4 /24 brings 96 a minute). They bear only on who
	// comes back under the same name, who could as well come under a new one. A
	// minute makes leaving no quick way to clear them; a Book, which is bounded,
	// remembers for longer what is proven, and who was cut.
	retained = time.Minute

	// Three are a graylisting, whatever else the peer does.
	invalidShare = 1.2

	// Time in the mesh earns the smaller part of what a topic can give
	// (Prysm and Lighthouse: 10 of 50), first deliveries the larger.
	meshTimeShare = 0.2
	meshTimeFull  = time.Hour

	// The expected count over this is the count below which a mesh peer is
	// silent: Lighthouse's 50.
	silenceFactor = 50

	// Six re-grafts are forgiven (Prysm, Lotus), ten take a peer to the
	// gossip threshold.
	behaviourForgiven = 6
	behaviourGossip   = 10
)

// Router derives the router's settings from the configuration, which must be
// valid.
func (c Config) Router() Router {
	excess := float64(behaviourGossip - behaviourForgiven)
	return Router{
		Thresholds:    c.Thresholds,
		TopicScoreCap: c.TopicScoreCap,
		DecayInterval: decayInterval,
		DecayToZero:   decayToZero,
		RetainScore:   retained,
		// The router squares the excess.
		BehaviourWeight:    c.Thresholds.Gossip / (excess * excess),
		BehaviourThreshold: behaviourForgiven,
		BehaviourDecay:     decayOver(behaviourMemory),
	}
}

// Topic derives a topic's settings from what is expected of it. The
// configuration must be valid.
func (c Config) Topic(t Traffic) (Topic, error) {
	if err := t.Validate(); err != nil {
		return Topic{}, fmt.Errorf("peerscore: derive topic parameters: %w", err)
	}
	out := Topic{
		Weight:            1,
		TimeInMeshQuantum: time.Second,
		FirstDecay:        decayOver(deliveryMemory),
		// One invalid message takes away more than all topics can give, and the
		// router squares the count (Prysm and Lighthouse: -max score/weight).
		InvalidWeight: -invalidShare * c.TopicScoreCap,
		InvalidDecay:  decayOver(invalidMemory),
	}

	// P2 reaches its cap for a peer that is first twice as often as its share
	// of the mesh (Prysm, Lighthouse: rate*2/D).
	perPeer := t.PerSecond * 2 / float64(t.Degree)
	out.FirstCap = convergence(out.FirstDecay, perPeer)
	out.FirstWeight = c.TopicScoreCap * (1 - meshTimeShare) / out.FirstCap

	expected := convergence(out.FirstDecay, t.PerSecond)
	silent := expected / silenceFactor
	if !t.EveryCopy || silent < 1 {
		// Too few messages to tell silence from quiet. Nothing then takes
		// away what mere presence earns, so presence earns nothing:
		// otherwise a peer that never forwards would stay positive
		// (CVE-2022-47547).
		return out, nil
	}
	earned := c.TopicScoreCap * meshTimeShare
	out.TimeInMeshCap = meshTimeFull.Seconds()
	out.TimeInMeshWeight = earned / out.TimeInMeshCap
	out.MeshDecay = out.FirstDecay
	out.MeshCap = expected
	out.MeshThreshold = silent
	// Complete silence takes away exactly what time in the mesh can earn,
	// and no more: in a quiet hour everybody is silent, and a mesh whose
	// members all turn negative prunes itself.
	out.MeshWeight = -earned / (silent * silent)
	// Shorter than most round trips, so that a peer cannot earn by echoing
	// what we sent it; of the honest copies one in silenceFactor suffices.
	out.MeshWindow = 50 * time.Millisecond
	// The counter gets as long to fill as it would need to empty.
	out.MeshActivation = deliveryMemory
	return out, nil
}

// Validate reports every reason why the traffic cannot be used.
func (t Traffic) Validate() error {
	var errs []error
	if !(t.PerSecond >= minPerSecond && t.PerSecond <= maxPerSecond) { // NaN fails too
		errs = append(errs, fmt.Errorf("traffic: PerSecond is %v, want %g to %g", t.PerSecond, minPerSecond, maxPerSecond))
	}
	if t.Degree < 1 {
		errs = append(errs, fmt.Errorf("traffic: Degree is %d, want >= 1", t.Degree))
	}
	return errors.Join(errs...)
}

// Between these every derived weight is a number of ordinary size.
const (
	minPerSecond = 1e-6
	maxPerSecond = 1e9
)

// decayOver is the factor per decayInterval that takes a counter from 1 to
// decayToZero in the time given (the router's own ScoreParameterDecay).
func decayOver(d time.Duration) float64 {
	return math.Pow(decayToZero, float64(decayInterval)/float64(d))
}

// convergence is where a counter settles that grows by perSecond and decays
// by the factor: the limit of the geometric series.
func convergence(decay, perSecond float64) float64 {
	return perSecond * decayInterval.Seconds() / (1 - decay)
}
