package testnet

import (
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// Phase is where a run is.
type Phase string

// The phases of a run, in order.
const (
	Starting Phase = "starting" // nodes open their homes and listen
	Joining  Phase = "joining"  // nodes connect, meshes form
	Loading  Phase = "loading"
	Draining Phase = "draining" // waits for the last delivery and inclusion
	Idling   Phase = "idling"   // nobody sends; what silence costs is measured
	Done     Phase = "done"
)

// Snapshot is a run at one moment, for people to look at.
type Snapshot struct {
	Phase   Phase
	Waiting string        // what a joining network lacks; else empty
	Elapsed time.Duration // since the network was ready; 0 before
	For     time.Duration // as asked for; 0 is without end

	Nodes []NodeSnapshot

	Submitted, Refused  int
	Published           int     // accepted by the node that they were submitted to
	Rate                float64 // published a second, over the load so far
	Expected, Delivered int     // pairs of transaction and receiver
	Included            int     // on the best chain of every node
	Blocks, Rollbacks   int
	Dropped             int
	Latency             Latency // over all nodes, lately
}

// NodeSnapshot is one node at that moment. Its first fields stay the same.
type NodeSnapshot struct {
	ID       string // peer id
	Address  string // host:port, TCP and QUIC alike
	Producer bool

	Peers, TxMesh, BlockMesh int
	Mempool                  int // transactions
	Height, Final            uint64
	Delivered                int
	Latency                  Latency // of what it received lately
}

func (s *Snapshot) clone() Snapshot {
	c := *s
	c.Nodes = slices.Clone(s.Nodes)
	return c
}

// Latency is zero as long as nothing arrived.
type Latency struct{ P50, P99 time.Duration }

func latencyOf(recent []time.Duration) Latency {
	var s report.Sample
	for _, d := range recent {
		s.AddDuration(d)
	}
	p := s.Percentiles()
	if p == nil {
		return Latency{}
	}
	ms := func(v float64) time.Duration { return time.Duration(v * float64(time.Millisecond)) }
	return Latency{P50: ms(p.P50), P99: ms(p.P99)}
}

// show fills in what the watch knows.
func (w *watch) show(s *Snapshot) {
	w.mu.Lock()
	totals := w.totals.clone()
	var all []time.Duration
	recent := make([][]time.Duration, len(w.recent))
	for i, r := range w.recent {
		recent[i] = slices.Clone(r)
		all = append(all, r...)
	}
	w.mu.Unlock()

	s.Submitted, s.Refused, s.Published = totals.submitted, totals.refused, totals.published
	s.Expected = totals.published * (w.nodes - 1)
	s.Included, s.Dropped = totals.included, totals.dropped
	s.Blocks, s.Rollbacks = totals.blocks, totals.rollbacks
	s.Latency, s.Delivered = latencyOf(all), 0
	for i := range s.Nodes {
		s.Nodes[i].Delivered = totals.delivered[i]
		s.Nodes[i].Latency = latencyOf(recent[i])
		s.Delivered += totals.delivered[i]
	}
}
