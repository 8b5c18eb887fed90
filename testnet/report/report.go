package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Worlds a run can take place in.
const (
	WorldLocal = "local" // real daemons on real sockets; virtual_s is null
	WorldSim   = "sim"   // whole nodes on a simulated network, in virtual time
	WorldCore  = "core"  // the pure machines alone, in virtual time
)

// Ways in which transactions travel.
const (
	RelayGossip = "gossip" // plain GossipSub topics
	RelayStock  = "stock"  // go-libp2p-pubsub with its defaults, the yardstick
	RelayVine   = "vine"

	// RelayStockTuned is go-libp2p-pubsub set up as a busy main network sets
	// it up: a larger mesh, content ids, no authors, long queues.
	RelayStockTuned = "stock-tuned"
)

// Relays are all of them.
var Relays = []string{RelayGossip, RelayStock, RelayStockTuned, RelayVine}

// MaxSeed is the largest seed a report carries: the largest integer that every
// reader of JSON keeps exact.
const MaxSeed = 1<<53 - 1

// Report is one run. Pointers are nil, and null in JSON, where the run did not
// measure the thing or the thing does not exist there.
type Report struct {
	Scenario string   `json:"scenario"`
	World    string   `json:"world"`
	Relay    string   `json:"relay"`
	Seed     uint64   `json:"seed"` // at most MaxSeed
	Nodes    int      `json:"nodes"`
	Settings []string `json:"settings,omitempty"` // KEY=VALUE that were changed in the scenario, but for those above; no key where none was
	Links    int      `json:"links"`              // connected pairs when the load began
	VirtualS *float64 `json:"virtual_s"`          // seconds of virtual time; null in world local
	WallS    float64  `json:"wall_s"`

	Tx        Tx           `json:"tx"`
	Block     Block        `json:"block"`
	Chain     Chain        `json:"chain"`
	FloorMS   *Percentiles `json:"floor_ms"` // shortest path over the links, without bandwidth
	Bytes     Bytes        `json:"bytes"`
	Attack    Attack       `json:"attack"`
	Members   *Members     `json:"members,omitempty"` // no key where nobody was asked
	Heal      *Heal        `json:"heal,omitempty"`    // no key where no partition ended
	Overlap   *Overlap     `json:"overlap,omitempty"` // no key where no load begins while another lasts
	Resources Resources    `json:"resources"`

	// FailedExpectations holds one sentence for each promise that the run
	// broke. It is never null; empty means that the run passed.
	FailedExpectations []string `json:"failed_expectations"`

	// Notes says what a reader must know before comparing this report with
	// one of another world. It is never null.
	Notes []string `json:"notes"`

	// TraceHash is equal for two runs in world core if and only if they did
	// the same things in the same order; null in other worlds.
	TraceHash *string `json:"trace_hash"`

	// Trace is what plots are drawn from; nil, and no key, unless asked for.
	Trace *Trace `json:"trace,omitempty"`
}

// Spread says how far and how fast messages of one kind travelled.
type Spread struct {
	Published int `json:"published"` // messages
	// Expected is the number of (message, receiver) pairs that should have
	// come about. The origin of a message is not among its receivers.
	Expected  int `json:"expected"`
	Delivered int `json:"delivered"` // the pairs that did, as the receivers saw it
	// DeliveryRatio is delivered ÷ expected; null when nothing was expected.
	DeliveryRatio *float64 `json:"delivery_ratio"`
	// LatencyMS is over the delivered pairs; null when there are none.
	LatencyMS *Percentiles `json:"latency_ms"`
	// CopiesPerDelivery counts every copy that a receiver was handed, the first included. In world
	// sim these are copies of the messages counted above, in local of all that came, an attacker's
	// own included. Null when nothing was delivered or nobody counted.
	CopiesPerDelivery *float64 `json:"copies_per_delivery"`
}

// Tx is the spread of transactions, and what became of them.
type Tx struct {
	Spread
	// WaitedMS is LatencyMS less the time in which the receiver was away; null where the world
	// does not tell.
	WaitedMS *Percentiles `json:"waited_ms"`
	Included *int         `json:"included"` // published ones that a block of the best chain holds
	Refused  *int         `json:"refused"`  // submissions that a node did not accept, not among Published
	Dropped  *int         `json:"dropped"`  // messages that a sender or a receiver gave up for load, on any topic
}

// Block is the spread of blocks.
type Block struct {
	Spread
	// RebuiltWithoutRequestRatio is the share of deliveries for which the
	// receiver had every transaction already; null when nothing was delivered.
	RebuiltWithoutRequestRatio *float64 `json:"rebuilt_without_request_ratio"`
}

// Chain is what became of the chain by the end of the run, in the view of the
// honest nodes.
type Chain struct {
	Heads     *int    `json:"heads"`     // different heads; 1 is agreement
	Height    *uint64 `json:"height"`    // of the highest
	Rollbacks *int    `json:"rollbacks"` // blocks rolled back, over all nodes
	// Lost are the blocks of honest producers that the best chain does not have; null where
	// the world does not tell.
	Lost *int `json:"lost"`
}

// Bytes is what the run cost on the wire.
type Bytes struct {
	// Wire counts UDP payload + 28 bytes a packet where packets are ours to
	// see (worlds sim and core). In world local it is what nodes wrote to
	// libp2p streams, above transport encryption; Notes says so.
	Wire             *uint64 `json:"wire"`
	PayloadDelivered uint64  `json:"payload_delivered"` // bytes of transactions and of whole blocks, however these travel, once per delivered pair
	// WirePerPayload is wire ÷ payload_delivered; null without either.
	WirePerPayload *float64 `json:"wire_per_payload"`
	// IdlePerNodeS is bytes per node and second when nobody sends anything.
	IdlePerNodeS *float64 `json:"idle_per_node_s"`
}

// Attack is how the network dealt with attackers.
type Attack struct {
	Attackers    int       `json:"attackers"`
	Kind         string    `json:"kind"` // NoAttack without attackers
	EvictedRatio *float64  `json:"evicted_ratio"`
	TimeToEvictS *EvictedS `json:"time_to_evict_s"`
	HonestBanned *int      `json:"honest_banned"`
	// ChargedRatio is the share of the attackers whom some honest node charged with an
	// offence, null where nobody attacks, and HonestCharged how many honest nodes were charged
	// by others; both null where the world does not tell.
	ChargedRatio  *float64 `json:"charged_ratio"`
	HonestCharged *int     `json:"honest_charged"`
	// EvidenceRatio is the share of the honest nodes' views of attackers that are producers in
	// which an equivocation of the attacker is kept, at the end of the run; null where
	// no attacker is a producer, or the world does not tell.
	EvidenceRatio *float64 `json:"evidence_ratio"`
	// HonestMeshRatio is the share of the honest in honest nodes' meshes of transactions,
	// 30 s after the first attackers began; null where the run did not last so long.
	HonestMeshRatio *float64 `json:"honest_mesh_ratio"`
	// Before and During are what was published before the first attacker began,
	// and since, so that a run has its own unattacked figures to be held
	// against; null where the world does not tell them apart.
	Before *Phase `json:"before"`
	During *Phase `json:"during"`
	// HeapGrowthMB is by how much more the live heap of an honest node was at the most since
	// the first attacker began than at the most before, at the node where that is most, and
	// RSSGrowthMB the same of the memory that the system gave it, garbage and all; 10^6 bytes.
	// Null where the world does not tell.
	HeapGrowthMB *float64 `json:"heap_growth_mb"`
	RSSGrowthMB  *float64 `json:"rss_growth_mb"`
	// VictimOutbound is how many honest peers the victim keeps in the end of those
	// that it chose itself; null where nodes do not choose.
	VictimOutbound *int `json:"victim_honest_outbound"`
	// VictimInbound is how many attackers the victim is linked to when the load begins, and did
	// not choose itself; null where nodes do not choose.
	VictimInbound *int `json:"victim_inbound_attackers"`
}

// Phase is the spread of what was published in one part of a run.
type Phase struct {
	Tx    Spread `json:"tx"`
	Block Spread `json:"block"`
	// CPUPerS is how many processor seconds all honest nodes together took in a second; null
	// where the world does not tell.
	CPUPerS *float64 `json:"cpu_per_s"`
	// OthersCPUPerS is how many processor seconds in a second the machine spent on anything but
	// nodes, attackers and those who run them: what makes latencies of real processes worth as
	// much as they are. Null where the world does not tell.
	OthersCPUPerS *float64 `json:"others_cpu_per_s"`
}

// EvictedS is how long attackers lasted, in seconds.
type EvictedS struct {
	P50 float64 `json:"p50"`
	Max float64 `json:"max"`
}

// Members is what honest nodes found out of who is in the network.
type Members struct {
	// Deaths are the times that a node went away or stood still for longer than
	// it takes to notice, and NoticedRatio the share of them that all others that
	// were there noticed.
	Deaths       int      `json:"deaths"`
	NoticedRatio *float64 `json:"noticed_ratio"`
	// NoticedMS is how long it took until the last of the others knew.
	NoticedMS *Percentiles `json:"noticed_ms"`
	// FalseDeaths are the times that any one node took any one living node for
	// dead; PerNodeDay is that for each node and day of virtual time.
	FalseDeaths           int      `json:"false_deaths"`
	FalseDeathsPerNodeDay *float64 `json:"false_deaths_per_node_day"`
	Suspicions            int      `json:"suspicions"` // times that any one node suspected any other
}

// Heal is how the parts of a network became one again after its last partition.
// They are equal when every honest node knows all transactions that any honest
// one knew when the links came back, and all are on one head.
type Heal struct {
	CrossedS            *float64 `json:"crossed_s"`              // from the end of the partition to the first connection between parts; null without one
	EqualS              *float64 `json:"equal_s"`                // from there until all were equal; null if they never were
	EqualAfterCrossingS *float64 `json:"equal_after_crossing_s"` // from that connection
	// MissingBytes are the transactions that honest nodes lacked at the end of the
	// partition of what others had, counted for each that lacked it.
	MissingBytes uint64  `json:"missing_bytes"`
	WireBytes    *uint64 `json:"wire_bytes"` // sent by all from then until all were equal, whatever for
	// WirePerMissing is wire_bytes ÷ missing_bytes; null without either.
	WirePerMissing *float64 `json:"wire_per_missing"`
	// Kinds splits WireBytes; no key where the run did not count by kind.
	Kinds []KindBytes `json:"bytes_by_kind,omitempty"` // most bytes first
}

// Overlap is what transactions and blocks do to each other where one of the two begins
// later.
type Overlap struct {
	// Before is what was published while one of them was alone, and During while both
	// were, so that a run has its own figures to be held against.
	Before *Phase `json:"before"`
	During *Phase `json:"during"`
	// UplinkUse is what all nodes sent in During, divided by what their lines carry up in
	// that time; null where lines have no bound.
	UplinkUse *float64 `json:"uplink_use"`
}

// Resources is what the run cost in memory and processor time.
type Resources struct {
	HeapMBPerNode *float64 `json:"heap_mb_per_node"` // 10^6 bytes
	// HeapPeakMBPerNode is the most that was alive from the beginning of the load on, as of any
	// collection of garbage; null where the world does not tell.
	HeapPeakMBPerNode *float64 `json:"heap_peak_mb_per_node"` // 10^6 bytes
	// CPUSPerDelivery is cpu_s per delivered pair, of transactions and of blocks, with
	// everything that the process does counted in.
	CPUSPerDelivery *float64 `json:"cpu_s_per_delivery"`
	CPUS            *float64 `json:"cpu_s"` // processor seconds, from the start of the load
	CPUSPerNode     *float64 `json:"cpu_s_per_node"`
	// MempoolShare is the most of a bound of its mempool, bytes or count, that
	// any node was seen to use.
	MempoolShare *float64 `json:"mempool_share"`
}

// NoAttack is the Attack of a run without attackers.
const NoAttack = "none"

// Ratio returns a ÷ b rounded to six decimals, or nil when b is zero.
func Ratio(a, b float64) *float64 {
	if b == 0 {
		return nil
	}
	return Measured(round(a/b, 1e6))
}

// Measured returns a pointer to v: it was measured, even if it is zero.
func Measured[T any](v T) *T { return &v }

// Fail adds one broken promise.
func (r *Report) Fail(format string, args ...any) {
	r.FailedExpectations = append(r.FailedExpectations, fmt.Sprintf(format, args...))
}

// Note adds one thing that a reader must know.
func (r *Report) Note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Validate says everything that makes r unfit to be published: a world or
// relay nobody knows, more deliveries than there could be, figures that
// contradict each other, a figure that no run can have.
func (r *Report) Validate() error {
	var errs []error
	switch r.World {
	case WorldLocal, WorldSim, WorldCore:
	default:
		errs = append(errs, fmt.Errorf("world is %q, want %s, %s or %s", r.World, WorldLocal, WorldSim, WorldCore))
	}
	if !slices.Contains(Relays, r.Relay) {
		errs = append(errs, fmt.Errorf("relay is %q, want one of %s", r.Relay, strings.Join(Relays, ", ")))
	}
	if r.Seed > MaxSeed {
		errs = append(errs, fmt.Errorf("seed is %d, want at most %d", r.Seed, uint64(MaxSeed)))
	}
	for name, s := range r.spreads() {
		for _, err := range s.contradictions() {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(append(errs, r.impossible()...)...)
}

// WriteJSON writes r as one indented JSON document with a final newline.
func (r *Report) WriteJSON(w io.Writer) error {
	out := *r
	if out.FailedExpectations == nil {
		out.FailedExpectations = []string{}
	}
	if out.Notes == nil {
		out.Notes = []string{}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(out); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func round(v, scale float64) float64 { return math.Round(v*scale) / scale }
