package peerscore

import (
	"fmt"
	"time"
)

// Counters are what GossipSub counts of one peer in one topic.
type Counters struct {
	InMesh  time.Duration // 0 outside the mesh
	First   float64       // first deliveries, decayed
	Copies  float64       // deliveries in the mesh, decayed
	Active  bool          // in the mesh for MeshActivation
	Invalid float64       // invalid messages, decayed
}

// Terms are the summands P1 to P4 of a topic's score by the GossipSub 1.1
// specification, those that are not 0.
func (t Topic) Terms(c Counters) []Term {
	var out []Term
	add := func(name string, v float64, why string) {
		if v *= t.Weight; v != 0 {
			out = append(out, Term{name, v, why})
		}
	}
	if t.TimeInMeshQuantum > 0 {
		quanta := min(float64(c.InMesh/t.TimeInMeshQuantum), t.TimeInMeshCap)
		add("P1", quanta*t.TimeInMeshWeight, "time in the mesh")
	}
	add("P2", min(c.First, t.FirstCap)*t.FirstWeight, fmt.Sprintf("%.1f first deliveries", c.First))
	if deficit := t.MeshThreshold - c.Copies; c.Active && deficit > 0 {
		add("P3", deficit*deficit*t.MeshWeight, "too few copies in the mesh")
	}
	add("P4", c.Invalid*c.Invalid*t.InvalidWeight, fmt.Sprintf("%.2f invalid messages", c.Invalid))
	return out
}

// Terms are the summands of the router's score that belong to no topic: what
// the cap takes from the topics' sum, and P7.
func (r Router) Terms(topics, behaviour float64) []Term {
	var out []Term
	if over := topics - r.TopicScoreCap; over > 0 {
		out = append(out, Term{"cap", -over, "topics add no more"})
	}
	if excess := behaviour - r.BehaviourThreshold; excess > 0 {
		out = append(out, Term{"P7", excess * excess * r.BehaviourWeight, fmt.Sprintf("%.1f breaches of the gossip protocol", behaviour)})
	}
	return out
}

// Sum adds up terms.
func Sum(terms []Term) float64 {
	var sum float64
	for _, t := range terms {
		sum += t.Value
	}
	return sum
}
