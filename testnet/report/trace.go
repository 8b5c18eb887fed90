package report

// Bounds of a Trace, so that a page made of it stays small enough to mail.
const (
	MaxTraceMessages = 400     // messages of one kind whose arrivals are kept, spread over the run
	MaxTraceArrivals = 200_000 // arrival times over all of them
	MaxTraceLinks    = 20_000  // mesh links
	MaxTracePoints   = 2_000   // moments at which resources were read
)

// Trace is what plots need beyond the figures. It is in a report only where
// somebody asked for plots. Times are milliseconds since the start of the
// load, where nothing else is said.
type Trace struct {
	Nodes     []TraceNode    `json:"nodes"`    // in the order of their numbers
	Messages  []TraceMessage `json:"messages"` // in the order of At
	MeshLinks [][2]int       `json:"mesh_links"`
	Kinds     []KindBytes    `json:"bytes_by_kind"` // most bytes first
	Usage     []Usage        `json:"usage"`         // in the order of AtMS
}

// TraceNode is one node of the run.
type TraceNode struct {
	Role    string `json:"role"`              // Honest, Producer, Silent, or the kind of attacker
	Region  string `json:"region,omitempty"`  // where latency goes by region
	SentB   uint64 `json:"sent_bytes"`        // on the wire
	Arrived int    `json:"arrived,omitempty"` // messages first known through peers
}

// Roles of nodes that do not attack.
const (
	RoleHonest   = "honest"
	RoleProducer = "producer"
	RoleSilent   = "silent"
)

// Kinds of messages in a trace.
const (
	KindTx    = "tx"
	KindBlock = "block"
)

// TraceMessage says when each receiver first knew one message. Receivers are
// the nodes that should have got it, its origin not among them.
type TraceMessage struct {
	Kind      string    `json:"kind"` // KindTx or KindBlock
	Origin    int       `json:"origin"`
	AtMS      float64   `json:"at_ms"`
	Receivers int       `json:"receivers"`
	ArrivedMS []float64 `json:"arrived_ms"` // after At, ascending; shorter than Receivers where some never came
	FloorMS   []float64 `json:"floor_ms"`   // the shortest path to each receiver, ascending
}

// KindBytes is what one kind of traffic cost on the wire.
type KindBytes struct {
	Kind  string `json:"kind"` // "tx push", "ihave", "transport", …
	Bytes uint64 `json:"bytes"`
}

// Usage is what the process used up to one moment.
type Usage struct {
	AtMS   float64 `json:"at_ms"`
	HeapMB float64 `json:"heap_mb"` // 10^6 bytes
	CPUS   float64 `json:"cpu_s"`   // processor seconds since the start of the load
	WireB  uint64  `json:"wire_bytes"`
}
