package scenario

import (
	"math"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// Scenario is one run: a network, what is sent over it, what goes wrong, and
// what must come true nevertheless. Times in it (From, To) count from the
// beginning of the load, which is the end of Settle. The tag of a field is its
// key in a file.
type Scenario struct {
	Name        string        `yaml:"-"` // of the file, without folder and ending
	Description string        `yaml:"description"`
	World       string        `yaml:"world"` // report.WorldSim, WorldCore or WorldLocal
	Relay       string        `yaml:"relay"` // report.RelayGossip, or in world sim RelayStock or RelayStockTuned
	Seed        uint64        `yaml:"seed"`  // of everything random; at most report.MaxSeed
	Nodes       int           `yaml:"nodes"` // attackers included
	Network     Network       `yaml:"network"`
	Start       Start         `yaml:"start"`
	Settle      time.Duration `yaml:"settle"` // quiet time before the load; idle cost is measured in it
	Drain       time.Duration `yaml:"drain"`  // after the load, for what is still under way
	Txs         Txs           `yaml:"txs"`    // none where PerSecond is zero
	Blocks      Blocks        `yaml:"blocks"` // none where Count and Producers are zero
	Mempool     Mempool       `yaml:"mempool"`
	Churn       []Churn       `yaml:"churn"`
	Partitions  []Partition   `yaml:"partitions"` // disjoint in time, in order
	Attackers   []Attacker    `yaml:"attackers"`
	Silent      float64       `yaml:"silent,share"`     // of nodes that sit in the mesh and never forward
	VerifyCost  time.Duration `yaml:"verify_cost,cost"` // virtual time that judging one transaction takes in world sim; zero is free, or MeasuredCost
	Members     bool          `yaml:"members"`          // world core: nodes keep a view of who is in the network, as those of the other worlds always do
	Expect      []Expect      `yaml:"expect"`

	file *file // where the values came from; nil for one made in code
}

// MeasuredCost stands for the cost that the machine of a run has, as its world
// measures it; a file says "measured".
const MeasuredCost = -1 * time.Nanosecond

// Transports that daemons can be told to dial over.
const (
	TransportTCP  = "tcp"
	TransportQUIC = "quic"
)

// Network is what lies between the nodes.
type Network struct {
	Dials int `yaml:"dials"` // connections each node opens; those it accepts come on top
	// Bootstrap is how many honest nodes the others are told of, with whose help they find
	// Dials peers by themselves; who restarts is told of nobody. Zero is a drawn topology.
	Bootstrap int     `yaml:"bootstrap"`
	Transport string  `yaml:"transport"`       // world local: TransportTCP or TransportQUIC; empty is each for half of the connections
	Latency   Latency `yaml:"latency"`         // one way
	Mbps      float64 `yaml:"mbps"`            // 10^6 bits per second up and down of every node; zero is without bound
	Classes   []Class `yaml:"classes"`         // kinds of lines instead of Mbps, their shares adding up to one
	Loss      float64 `yaml:"loss,share"`      // of packets that vanish
	Reorder   float64 `yaml:"reorder,share"`   // of packets held back so that later ones overtake them
	Duplicate float64 `yaml:"duplicate,share"` // of packets that arrive twice
}

// Class is a share of nodes with one kind of line. Zero Mbps are without bound.
type Class struct {
	Share    float64 `yaml:"share,share"`
	UpMbps   float64 `yaml:"up_mbps"`
	DownMbps float64 `yaml:"down_mbps"`
}

// Latency says how long a packet travels between two nodes: exactly one of
// Range, Preset and Matrix is set. With Preset and Matrix nodes stand in
// regions; see [Latency.Regions].
type Latency struct {
	Range  [2]time.Duration  `yaml:"range"`        // least and most; each pair of nodes draws its own, uniformly
	Preset string            `yaml:"preset"`       // one of Presets
	Matrix [][]time.Duration `yaml:"matrix,ms"`    // from region, to region; plain numbers in a file are milliseconds
	Shares []float64         `yaml:"shares,share"` // of nodes in each region; empty is what the preset says, or equal
}

// Start says how nodes come up.
type Start struct {
	Wave time.Duration `yaml:"wave"` // nodes start evenly spread over it, before Settle
}

// Txs is the load of transactions.
type Txs struct {
	PerSecond float64       `yaml:"per_second"` // over the whole network
	Size      int           `yaml:"size,bytes"` // of a whole transaction; zero with Shapes
	Shapes    string        `yaml:"shapes"`     // ShapesMainnet or empty
	From      time.Duration `yaml:"from"`       // when the first is sent
	For       time.Duration `yaml:"for"`        // how long they are sent then
	Origins   int           `yaml:"origins"`    // how many nodes send them; zero is all honest ones
	Fee       int           `yaml:"fee"`        // what the cheapest pays, as a multiple of the network's floor; zero is one
}

// ShapesMainnet takes transactions from real blocks: their sizes, how many one
// sender has in a row, and the order of their fees.
const ShapesMainnet = "mainnet"

// Blocks is the load of blocks: Count blocks of a given Size, or, where Count
// is zero, what Producers make of the mempool, slot by slot.
type Blocks struct {
	Size      int           `yaml:"size,bytes"`    // of a block's transactions together
	TxSize    int           `yaml:"tx_size,bytes"` // of each of them
	From      time.Duration `yaml:"from"`          // when the first of Count is made
	Every     time.Duration `yaml:"every"`         // between two blocks
	Count     int           `yaml:"count"`         // of blocks in the run
	Pooled    float64       `yaml:"pooled,share"`  // of each block's transactions, held by every node beforehand
	Producers int           `yaml:"producers"`     // nodes that produce; zero with Count is one
	Slot      time.Duration `yaml:"slot"`          // length of a slot; zero with Count is Every
	MaxTxs    int           `yaml:"max_txs"`       // that genesis allows in a block, so capacity is set here and not by the machine; zero is the default
}

// Mempool bounds those of the nodes.
type Mempool struct {
	MaxTxs int `yaml:"max_txs"` // zero is a node's default
}

// Churn restarts nodes, evenly spread between From and To. Either PerMinute or
// Share says how many.
type Churn struct {
	From      time.Duration `yaml:"from"`
	To        time.Duration `yaml:"to"`
	PerMinute float64       `yaml:"per_minute,share"` // of all nodes, restarted in every minute
	Share     float64       `yaml:"share,share"`      // of all nodes, each restarted once
	Down      time.Duration `yaml:"down"`             // how long each is away
	Stopped   bool          `yaml:"stopped"`          // world core: its process stands still and its links stay open, instead of its going away
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
	From   time.Duration `yaml:"from"`
	To     time.Duration `yaml:"to"`
	Groups []float64     `yaml:"groups,share"` // of nodes in each group, adding up to one
}

// Attacker is one kind of dishonest node.
type Attacker struct {
	Kind   string            `yaml:"kind"`        // one of Kinds
	Share  float64           `yaml:"share,share"` // of Nodes, or
	Count  int               `yaml:"count"`       // a number of them
	Links  int               `yaml:"links"`       // honest nodes that each dials, who dial each other only; 0: as Network.Dials, and anybody
	From   time.Duration     `yaml:"from"`
	To     time.Duration     `yaml:"to"`     // zero is until the end
	Params map[string]string `yaml:"params"` // what the kind understands
}

// Number is how many attackers of this kind a network of so many nodes has.
func (a Attacker) Number(nodes int) int {
	if a.Count > 0 {
		return a.Count
	}
	return int(math.Round(a.Share * float64(nodes)))
}

// Expect is a promise of the run. In a file it is a condition, or, for a known
// gap, a mapping of condition and known_gap.
type Expect struct {
	report.Condition        // what must be true of the report
	KnownGap         string // not empty: why it does not hold yet; breaking it is noted, and does not fail the run
}

// Judge writes down in r which promises of s it breaks. That there is a network
// is one that every scenario makes.
func (s *Scenario) Judge(r *report.Report) {
	if r.Links == 0 {
		r.Fail("there was no network: none of the dialled links worked when the load began")
	}
	promises := make([]report.Promise, len(s.Expect))
	for i, e := range s.Expect {
		promises[i] = report.Promise(e)
	}
	r.Judge(promises)
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
	end := max(s.Txs.From+s.Txs.For, s.Blocks.until())
	for _, c := range s.Churn {
		end = max(end, c.To+c.Down)
	}
	for _, p := range s.Partitions {
		end = max(end, p.To)
	}
	return end
}

// until is when the last of Count has had its time; zero without Count.
func (b Blocks) until() time.Duration {
	if b.Count == 0 {
		return 0
	}
	return b.From + time.Duration(b.Count)*b.Every
}

// Overlap is when transactions and a given number of blocks are sent side by side, and
// whether there is such a time after one in which one of the two is sent alone.
func (s *Scenario) Overlap() (from, to time.Duration, ok bool) {
	from, to = max(s.Txs.From, s.Blocks.From), min(s.Txs.From+s.Txs.For, s.Blocks.until())
	return from, to, s.Txs.PerSecond > 0 && s.Txs.From != s.Blocks.From && from < to
}

// AttackAt is when the first attacker begins, and whether there is one.
func (s *Scenario) AttackAt() (time.Duration, bool) {
	if len(s.Attackers) == 0 {
		return 0, false
	}
	first := s.Attackers[0].From
	for _, a := range s.Attackers[1:] {
		first = min(first, a.From)
	}
	return first, true
}

// Attacking is how many of the nodes are attackers.
func (s *Scenario) Attacking() int {
	n := 0
	for _, a := range s.Attackers {
		n += a.Number(s.Nodes)
	}
	return n
}
