// Package gossipscore is the peer score of GossipSub 1.1 as its specification reads, for tests.
//
// A [Peer] is what one router counts of one peer in one topic; it is told what happens and answers
// with the score's terms (P1 to P4 and P7; P5, the application's, and P6, the address', are not its
// business). It is written from the text of the specification and knows nothing of any library, so
// that laws about scores can be tested by the million without a network. A test of overlay replays
// what the library tells a tracer and holds the library's counters and score against the model's.
//
// It is not safe for concurrent use.
package gossipscore

import "time"

// Params are the parameters of one topic, and those of the whole score that a topic's counters need.
// A weight of 0 switches its term off.
type Params struct {
	DecayInterval time.Duration
	DecayToZero   float64
	TopicWeight   float64
	TopicScoreCap float64 // 0: none

	TimeInMeshWeight  float64 // P1
	TimeInMeshQuantum time.Duration
	TimeInMeshCap     float64

	FirstWeight, FirstDecay, FirstCap float64 // P2

	MeshWeight, MeshDecay, MeshCap, MeshThreshold float64 // P3
	MeshWindow, MeshActivation                    time.Duration

	FailureWeight, FailureDecay float64 // P3b
	InvalidWeight, InvalidDecay float64 // P4

	BehaviourWeight, BehaviourThreshold, BehaviourDecay float64 // P7
}

// Peer is what is counted of one peer. The zero value with Params is a stranger.
type Peer struct {
	Params Params

	InMesh    bool
	Time      time.Duration // in the mesh, as of the last decay
	First     float64
	Mesh      float64
	Active    bool
	Failure   float64
	Invalid   float64
	Behaviour float64

	grafted time.Time
}

// Graft and Prune: the peer entered or left the mesh.
func (p *Peer) Graft(now time.Time) {
	p.InMesh, p.grafted, p.Time, p.Active = true, now, 0, false
}

// Prune leaves a sticky penalty for what was lacking.
func (p *Peer) Prune() {
	if deficit := p.Params.MeshThreshold - p.Mesh; p.Active && deficit > 0 {
		p.Failure += deficit * deficit
	}
	p.InMesh = false
}

// Deliver is a valid message that the peer was first to send.
func (p *Peer) Deliver() {
	p.First = min(p.First+1, p.Params.FirstCap)
	p.copied()
}

// Copy is a further copy of a valid message, after the first was validated by the time given, or
// while it was being validated (0).
func (p *Peer) Copy(after time.Duration) {
	if after <= p.Params.MeshWindow {
		p.copied()
	}
}

func (p *Peer) copied() {
	if p.InMesh {
		p.Mesh = min(p.Mesh+1, p.Params.MeshCap)
	}
}

// Reject is an invalid message, whether its first copy or another.
func (p *Peer) Reject() { p.Invalid++ }

// Misbehave is a breach of the router's protocol.
func (p *Peer) Misbehave(times int) { p.Behaviour += float64(times) }

// Decay comes once in each DecayInterval.
func (p *Peer) Decay(now time.Time) {
	for _, c := range []struct {
		counter *float64
		by      float64
	}{
		{&p.First, p.Params.FirstDecay},
		{&p.Mesh, p.Params.MeshDecay},
		{&p.Failure, p.Params.FailureDecay},
		{&p.Invalid, p.Params.InvalidDecay},
		{&p.Behaviour, p.Params.BehaviourDecay},
	} {
		if *c.counter *= c.by; *c.counter < p.Params.DecayToZero {
			*c.counter = 0
		}
	}
	if p.InMesh {
		p.Time = now.Sub(p.grafted)
		p.Active = p.Active || p.Time > p.Params.MeshActivation
	}
}

// Topic is the topic's part of the score, capped.
func (p *Peer) Topic() float64 {
	c := p.Params
	var sum float64
	if p.InMesh && c.TimeInMeshQuantum > 0 {
		sum += min(float64(p.Time/c.TimeInMeshQuantum), c.TimeInMeshCap) * c.TimeInMeshWeight
	}
	sum += p.First * c.FirstWeight
	if deficit := c.MeshThreshold - p.Mesh; p.Active && deficit > 0 {
		sum += deficit * deficit * c.MeshWeight
	}
	sum += p.Failure * c.FailureWeight
	sum += p.Invalid * p.Invalid * c.InvalidWeight
	sum *= c.TopicWeight
	if c.TopicScoreCap > 0 {
		sum = min(sum, c.TopicScoreCap)
	}
	return sum
}

// Score is the whole but for P5 and P6.
func (p *Peer) Score() float64 {
	score := p.Topic()
	if excess := p.Behaviour - p.Params.BehaviourThreshold; excess > 0 {
		score += excess * excess * p.Params.BehaviourWeight
	}
	return score
}
