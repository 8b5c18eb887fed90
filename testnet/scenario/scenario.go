package scenario

import (
	"math"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// Scenario is one run: a network, what is sent over it, what goes wrong, and
// what must come true nevertheless. Times in it (From, To) count from
// the beginning of the load, which is the end of Settle.
type Scenario struct {
	Name        string // of the file, without folder and ending
	Description string // one or more sentences
	World       string // report.WorldSim, WorldCore or WorldLocal
	Relay       string // one of report.Relays
	Seed        uint64 // of everything random; at most report.MaxSeed
	Nodes       int    // attackers included
	Network     Network
	Start       Start
	Settle      time.Duration // quiet time before the load; idle cost is measured in it
	Drain       time.Duration // after the load, for what is still under way
	Txs         Txs           // none where Txs.PerSecond is zero
	Blocks      Blocks        // none where Blocks.Count and Blocks.Producers are zero
	Churn       []Churn
	Partitions  []Partition // disjoint in time, in order
	Attackers   []Attacker
	Silent      float64 // share of nodes that sit in the mesh and never forward
	ChargeCPU   bool    // world sim: measured cost of operations passes as virtual time
	Expect      []Expect

	file *file // where the values stand, for errors
}

// Network is what lies between the nodes.
type Network struct {
	Dials   int     // connections each node opens; those it accepts come on top
	Latency Latency // one way
	Mbps    float64 // 10^6 bits per second up and down of every node; zero is without bound; unused with Classes
	Classes []Class // kinds of nodes, their shares adding up to one; empty where Mbps says it all
	Loss    float64 // share of packets that vanish
	Reorder float64 // share of packets held back so that later ones overtake them
}

// Class is a share of nodes with one kind of line. Zero Mbps are without bound.
type Class struct {
	Share    float64
	UpMbps   float64
	DownMbps float64
}

// Latency says how long a packet travels between two nodes: exactly one of
// Range, Preset and Matrix is set. With Preset and Matrix, nodes are put in
// regions; see [Latency.Regions].
type Latency struct {
	Range  [2]time.Duration  // each pair of nodes draws its own, uniformly
	Preset string            // one of Presets
	Matrix [][]time.Duration // square: from region, to region
	Shares []float64         // of nodes per region; empty is equal shares
}

// Start says how nodes come up.
type Start struct {
	Wave time.Duration // nodes start evenly spread over it, before Settle
}

// Txs is the load of transactions.
type Txs struct {
	PerSecond float64       // over the whole network
	Size      int           // bytes of a whole transaction; zero with Shapes
	Shapes    string        // ShapesMainnet or empty
	For       time.Duration // how long transactions are sent
	Origins   int           // how many nodes send them; zero is all honest ones
}

// ShapesMainnet takes sizes, senders and fees from real blocks.
const ShapesMainnet = "mainnet"

// Blocks is the load of blocks: either Count blocks of a given Size, or, where
// Producers and Slot are set, whatever the producers make of the mempool.
type Blocks struct {
	Size      int           // bytes of a block's transactions together
	TxSize    int           // bytes of each of them; zero is one transaction shape of 250 bytes
	Every     time.Duration // between two blocks
	Count     int           // blocks in the run
	Pooled    float64       // share of each block's transactions that every node holds beforehand
	Producers int           // nodes that produce
	Slot      time.Duration // length of a slot
}

// Churn restarts nodes: PerMinute or Share says how many, evenly spread
// between From and To.
type Churn struct {
	From, To  time.Duration
	PerMinute float64       // share of all nodes restarted per minute
	Share     float64       // share of all nodes restarted once, between From and To
	Down      time.Duration // how long each is away
}

// Restarts is how many nodes, out of the given number, c restarts.
func (c Churn) Restarts(nodes int) int {
	share := c.Share
	if share == 0 {
		share = c.PerMinute * (c.To - c.From).Minutes()
	}
	return int(math.Round(share * float64(nodes)))
}

// Partition cuts every link between groups from From to To.
type Partition struct {
	From, To time.Duration
	Groups   []float64 // share of nodes of each group, adding up to one
}

// Attacker is one kind of dishonest node.
type Attacker struct {
	Kind     string
	Share    float64           // of Nodes; or
	Count    int               // a number of them
	From, To time.Duration     // To zero is until the end
	Params   map[string]string // what the kind understands
}

// Number is how many attackers of this kind a network of so many nodes has.
func (a Attacker) Number(nodes int) int {
	if a.Count > 0 {
		return a.Count
	}
	return int(math.Round(a.Share * float64(nodes)))
}

// Expect is a promise of the run.
type Expect struct {
	report.Condition        // what must be true of the report
	KnownGap         string // not empty: why it does not hold yet; breaking it is noted, and does not fail the run
}

// Lines are the kinds of lines that nodes have: Classes, or the one that Mbps
// stands for.
func (n Network) Lines() []Class {
	if len(n.Classes) > 0 {
		return n.Classes
	}
	return []Class{{Share: 1, UpMbps: n.Mbps, DownMbps: n.Mbps}}
}

// LoadFor is how long the load lasts: until the last transaction is sent, the
// last block made, and the last partition and churn over.
func (s *Scenario) LoadFor() time.Duration {
	end := s.Txs.For
	if s.Blocks.Count > 0 {
		end = max(end, time.Duration(s.Blocks.Count)*s.Blocks.Every)
	}
	for _, c := range s.Churn {
		end = max(end, c.To+c.Down)
	}
	for _, p := range s.Partitions {
		end = max(end, p.To)
	}
	return end
}

// Attacking is how many of the nodes are attackers.
func (s *Scenario) Attacking() int {
	n := 0
	for _, a := range s.Attackers {
		n += a.Number(s.Nodes)
	}
	return n
}
