package scenario

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/grapevine-p2p/grapevine/internal/nearest"
	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/shapes"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Bounds of a scenario. They keep arithmetic exact and errors early; what a
// machine can carry, the worlds say.
const (
	MaxNodes    = 100_000
	MaxTime     = 24 * time.Hour // of any duration
	MaxLatency  = 10 * time.Second
	MaxTxRate   = 1e6
	MaxBlocks   = 100_000
	MaxFee      = 1_000_000   // times the floor
	MaxMempool  = 1_000_000   // transactions
	MaxVerify   = time.Second // of one signature check
	MinMbps     = 0.01        // of a line: a handshake takes seconds on it
	MinTx       = 160         // bytes; the built-in application's transfer with all its fields
	sharesSlack = 1e-6
)

// Validate says everything that makes s impossible to run, with the places in
// the file that s was read from.
func (s *Scenario) Validate() error { return s.impossible().err() }

func (s *Scenario) impossible() problems {
	c := &check{s: s, wrong: make(map[string]bool)}
	if s.file != nil {
		maps.Copy(c.wrong, s.file.unbound)
	}
	c.run()
	c.network()
	c.load()
	c.faults()
	c.attackers()
	c.expect()
	return c.problems
}

// check collects what is wrong with s.
type check struct {
	s        *Scenario
	wrong    map[string]bool // paths of values that were refused
	mute     bool            // nothing follows from what is refused already
	problems problems
}

// want refuses the value at path unless ok. Rest completes "path is ". A value
// that was not understood is not refused again.
func (c *check) want(ok bool, path, format string, args ...any) {
	if ok || c.mute || c.s.file.misses(path) {
		return
	}
	c.wrong[path] = true
	c.problems.add(c.s.file.at(path), "%s is %s", path, fmt.Sprintf(format, args...))
}

// given is c where nothing at, above or below these paths has been refused,
// and otherwise a check that has nothing to say: it is for what is wrong with
// one value because of others.
func (c *check) given(paths ...string) *check {
	for wrong := range c.wrong {
		for _, path := range paths {
			if within(wrong, path) || within(path, wrong) {
				return &check{s: c.s, mute: true}
			}
		}
	}
	return c
}

func (c *check) oneOf(path, got string, known []string) {
	c.want(slices.Contains(known, got), path, "%q, want %s; the nearest is %s", got, strings.Join(known, ", "), nearest.Name(got, known))
}

// share wants a part of a whole: all of it only where full.
func (c *check) share(path string, got float64, full bool) {
	if full {
		c.want(got >= 0 && got <= 1, path, "%v, want 0 to 1", got)
	} else {
		c.want(got >= 0 && got < 1, path, "%v, want 0 or more, and less than 1", got)
	}
}

// shares wants parts that make up one whole, none of them empty. Key is that of
// the share in each item of the list at path, with a dot, or empty.
func (c *check) shares(path, key string, got []float64) {
	sum, items := 0.0, make([]string, len(got))
	for i, g := range got {
		items[i] = under(path, fmt.Sprint(i)) + key
		c.want(g > 0 && g <= 1, items[i], "%v, want more than 0 and at most 1", g)
		sum += g
	}
	c.given(items...).want(math.Abs(sum-1) < sharesSlack, path, "shares that add up to %.4g, want 1", sum)
}

func (c *check) time(path string, d time.Duration) {
	c.want(d >= 0 && d <= MaxTime, path, "%v, want 0 to %v", d, MaxTime)
}

// span wants a time that begins and ends, in this order.
func (c *check) span(path string, from, to time.Duration) {
	c.time(path+".from", from)
	c.time(path+".to", to)
	c.given(path+".from").want(to > from, path+".to", "%v, want after from=%v", to, from)
}

func (c *check) count(path string, n, most int) {
	c.want(n >= 0 && n <= most, path, "%d, want 0 to %d", n, most)
}

var (
	worlds = []string{report.WorldSim, report.WorldCore, report.WorldLocal}
	relays = []string{report.RelayGossip, report.RelayStock, report.RelayStockTuned}
)

func (c *check) run() {
	s := c.s
	c.oneOf("world", s.World, worlds)
	c.oneOf("relay", s.Relay, relays)
	c.want(strings.TrimSpace(s.Description) != "", "description", "missing, want a sentence that says what the scenario shows")
	stock := s.Relay == report.RelayStock || s.Relay == report.RelayStockTuned
	c.given("world").want(!stock || s.World == report.WorldSim, "relay", "%s, which runs in world %s only", s.Relay, report.WorldSim)
	c.want(s.Seed <= report.MaxSeed, "seed", "%d, want at most %d", s.Seed, uint64(report.MaxSeed))
	c.want(s.Nodes >= 2 && s.Nodes <= MaxNodes, "nodes", "%d, want 2 to %d", s.Nodes, MaxNodes)
	c.time("settle", s.Settle)
	c.time("drain", s.Drain)
	c.time("start.wave", s.Start.Wave)
	c.given("world").want(!s.Members || s.World == report.WorldCore, "members", "true, which is for world %s only; in the others nodes are members always", report.WorldCore)
	c.want(s.VerifyCost >= 0 && s.VerifyCost <= MaxVerify || s.VerifyCost == MeasuredCost, "verify_cost", "%v, want 0 to %v, or measured", s.VerifyCost, MaxVerify)
	c.want(s.VerifyCost == 0 || s.World != report.WorldCore, "verify_cost", "set, which world %s alone knows", report.WorldSim)
}

func (c *check) network() {
	n := c.s.Network
	c.want(n.Dials >= 1, "network.dials", "%d, want at least 1", n.Dials)
	c.given("nodes").want(n.Bootstrap >= 0 && n.Bootstrap < c.s.Nodes, "network.bootstrap", "%d, want 0 to less than nodes=%d", n.Bootstrap, c.s.Nodes)
	finds := c.s.World == report.WorldSim && c.s.Relay != report.RelayStock && c.s.Relay != report.RelayStockTuned
	c.given("world", "relay").want(n.Bootstrap == 0 || finds, "network.bootstrap", "%d, which takes world %s and a relay of ours: the others find no peers", n.Bootstrap, report.WorldSim)
	c.given("nodes").want(n.Dials < c.s.Nodes, "network.dials", "%d, want < nodes=%d: a node dials others, each once", n.Dials, c.s.Nodes)
	if n.Transport != "" {
		c.oneOf("network.transport", n.Transport, []string{TransportTCP, TransportQUIC})
		c.given("world").want(c.s.World == report.WorldLocal, "network.transport", "%s, which world %s alone asks for; the others have what they have", n.Transport, report.WorldLocal)
	}
	c.latency(n.Latency)
	c.mbps("network.mbps", n.Mbps)
	if len(n.Classes) > 0 {
		c.want(n.Mbps == 0, "network.mbps", "%v beside network.classes, want one of them", n.Mbps)
		shares := make([]float64, len(n.Classes))
		for i, class := range n.Classes {
			at := fmt.Sprintf("network.classes.%d", i)
			shares[i] = class.Share
			c.mbps(at+".up_mbps", class.UpMbps)
			c.mbps(at+".down_mbps", class.DownMbps)
		}
		c.shares("network.classes", ".share", shares)
	}
	c.share("network.loss", n.Loss, false)
	c.share("network.reorder", n.Reorder, false)
	c.share("network.duplicate", n.Duplicate, false)
	c.given("world").want(n.Duplicate == 0 || c.s.World == report.WorldSim, "network.duplicate", "%v, which world %s alone knows", n.Duplicate, report.WorldSim)
}

func (c *check) mbps(path string, v float64) {
	c.want(v == 0 || v >= MinMbps && v <= 1e6, path, "%v, want 0 (without bound), or %v to 1000000", v, MinMbps)
}

func (c *check) latency(l Latency) {
	const at = "network.latency"
	var said []string
	if l.Range != [2]time.Duration{} {
		said = append(said, "range")
		low, high := l.Range[0], l.Range[1]
		c.want(low >= 0 && high <= MaxLatency, at+".range", "%v to %v, want 0 to %v", low, high, MaxLatency)
		c.want(low <= high, at+".range", "%v to %v, which is empty: the lower end comes first", low, high)
	}
	if l.Preset != "" {
		said = append(said, "preset")
		c.oneOf(at+".preset", l.Preset, Presets())
	}
	if len(l.Matrix) > 0 {
		said = append(said, "matrix")
		c.matrix(at+".matrix", l.Matrix)
	}
	switch len(said) {
	case 1:
	case 0:
		local := c.s.World == report.WorldLocal // loopback has what it has
		c.given("world", at+".range", at+".preset", at+".matrix").want(local, at, "missing, want range, preset or matrix")
	default:
		c.want(false, at, "given as %s, want one of them", strings.Join(said, " and "))
	}
	if len(l.Shares) == 0 {
		return
	}
	regions, ok := l.Regions()
	model := c.given(at+".preset", at+".matrix")
	model.want(ok, at+".shares", "given without regions; it goes with preset and matrix")
	model.want(!ok || len(regions.OneWay) == len(l.Shares), at+".shares", "%d values for %d regions", len(l.Shares), len(regions.OneWay))
	c.shares(at+".shares", "", l.Shares)
}

func (c *check) matrix(path string, m [][]time.Duration) {
	c.given("nodes").want(len(m) <= c.s.Nodes, path, "of %d regions for %d nodes", len(m), c.s.Nodes)
	for i, row := range m {
		at := under(path, fmt.Sprint(i))
		c.want(len(row) == len(m), at, "%d values, want %d: a matrix is square", len(row), len(m))
		for _, d := range row {
			c.want(d >= 0 && d <= MaxLatency, at, "a row with %v, want 0 to %v", d, MaxLatency)
		}
	}
}

func (c *check) load() {
	t, b := c.s.Txs, c.s.Blocks
	c.want(t.PerSecond >= 0 && t.PerSecond <= MaxTxRate, "txs.per_second", "%v, want 0 to %v", t.PerSecond, MaxTxRate)
	c.time("txs.for", t.For)
	c.time("txs.from", t.From)
	c.given("world").want(t.From == 0 || c.s.World == report.WorldSim, "txs.from", "%v, which world %s alone knows", t.From, report.WorldSim)
	c.given("txs.per_second").want(t.From == 0 || t.PerSecond > 0, "txs.from", "%v without txs.per_second", t.From)
	if t.PerSecond > 0 {
		c.given("txs.for").want(t.For > 0, "txs.for", "%v, want how long transactions are sent", t.For)
		c.want(t.Size == 0 || t.Shapes == "", "txs.size", "%d beside txs.shapes, want one of them", t.Size)
		c.given("txs.size", "txs.shapes").want(t.Size != 0 || t.Shapes != "", "txs", "without a size, want size or shapes")
	}
	c.want(t.Size == 0 || t.Size >= MinTx && t.Size <= wire.MaxTx, "txs.size", "%d, want %d to %d", t.Size, MinTx, wire.MaxTx)
	own := c.s.World == report.WorldSim // which makes its own transactions
	c.given("world", "txs.size").want(own || t.Size <= shapes.MaxRow, "txs.size", "%d, want %d to %d in world %s", t.Size, MinTx, shapes.MaxRow, c.s.World)
	if t.Shapes != "" {
		c.oneOf("txs.shapes", t.Shapes, []string{ShapesMainnet})
	}
	c.given("nodes").count("txs.origins", t.Origins, c.s.Nodes)
	c.count("txs.fee", t.Fee, MaxFee)
	c.given("world").want(t.Fee == 0 || c.s.World == report.WorldLocal, "txs.fee", "%d, which world %s alone knows", t.Fee, report.WorldLocal)
	c.count("mempool.max_txs", c.s.Mempool.MaxTxs, MaxMempool)
	c.given("world").want(c.s.Mempool.MaxTxs == 0 || c.s.World == report.WorldLocal, "mempool.max_txs", "%d, which world %s alone knows", c.s.Mempool.MaxTxs, report.WorldLocal)

	c.count("blocks.count", b.Count, MaxBlocks)
	c.given("nodes").count("blocks.producers", b.Producers, c.s.Nodes)
	c.time("blocks.every", b.Every)
	c.time("blocks.slot", b.Slot)
	c.time("blocks.from", b.From)
	c.given("world").want(b.From == 0 || c.s.World == report.WorldSim, "blocks.from", "%v, which world %s alone knows", b.From, report.WorldSim)
	c.given("blocks.count").want(b.From == 0 || b.Count > 0, "blocks.from", "%v without blocks.count; producers make blocks from the first slot on", b.From)
	c.given("blocks.every").want(b.Every <= 0 || b.From%b.Every == 0, "blocks.from", "%v, want a multiple of blocks.every=%v", b.From, b.Every)
	c.share("blocks.pooled", b.Pooled, true)
	c.want(b.TxSize == 0 || b.TxSize >= MinTx && b.TxSize <= wire.MaxTx, "blocks.tx_size", "%d, want %d to %d", b.TxSize, MinTx, wire.MaxTx)
	c.want(b.Size >= 0 && b.Size <= wire.MaxBlock, "blocks.size", "%d, want 0 to %d", b.Size, wire.MaxBlock)
	c.count("blocks.max_txs", b.MaxTxs, wire.MaxBlockTxs)
	c.given("world").want(b.MaxTxs == 0 || c.s.World == report.WorldLocal, "blocks.max_txs", "%d, which world %s alone knows", b.MaxTxs, report.WorldLocal)
	c.given("world", "blocks.count").want(b.Every == 0 || b.Count > 0 || c.s.World == report.WorldLocal, "blocks.every", "%v without blocks.count; producers make blocks every blocks.slot", b.Every)
	switch {
	case b.Count > 0:
		c.given("blocks.size").want(b.Size > 0, "blocks.size", "%d, want the size of the %d blocks", b.Size, b.Count)
		c.given("blocks.tx_size").want(b.TxSize > 0, "blocks.tx_size", "%d, want the size of their transactions", b.TxSize)
		c.given("blocks.size").want(b.Size == 0 || b.TxSize <= b.Size, "blocks.tx_size", "%d, want at most blocks.size=%d", b.TxSize, b.Size)
		c.given("blocks.size").want(b.TxSize <= 0 || b.Size/b.TxSize <= wire.MaxBlockTxs, "blocks.tx_size", "%d, which makes %d transactions in a block, want at most %d", b.TxSize, b.Size/max(b.TxSize, 1), wire.MaxBlockTxs)
		c.given("blocks.every").want(b.Every > 0, "blocks.every", "%v, want the time between two blocks", b.Every)
		c.given("blocks.slot").want(b.Slot <= 0 || b.Every%b.Slot == 0, "blocks.every", "%v, want a multiple of blocks.slot=%v: blocks begin with a slot", b.Every, b.Slot)
	case b.Producers > 0:
		c.given("blocks.slot", "blocks.count").want(b.Slot > 0, "blocks.slot", "%v, want the length of a slot", b.Slot)
	}
}

func (c *check) faults() {
	for i, churn := range c.s.Churn {
		at := fmt.Sprintf("churn.%d", i)
		c.span(at, churn.From, churn.To)
		c.time(at+".down", churn.Down)
		c.given("world").want(!churn.Stopped || c.s.World == report.WorldCore, at+".stopped", "true, which is for world %s only", report.WorldCore)
		c.given(at+".down").want(churn.Down > 0, at+".down", "%v, want how long a node is away", churn.Down)
		c.given(at+".per_minute", at+".share").want((churn.PerMinute > 0) != (churn.Share > 0), at, "given with per_minute=%v and share=%v, want one of them more than 0", churn.PerMinute, churn.Share)
		c.share(at+".share", churn.Share, true)
		away := churn.PerMinute * churn.Down.Minutes()
		c.given(at+".down").want(away < 1, at+".per_minute", "%v with down=%v: every node would be away at once", churn.PerMinute, churn.Down)
	}
	var (
		healed time.Duration
		ends   []string // of the partitions so far
	)
	for i, p := range c.s.Partitions {
		at := fmt.Sprintf("partitions.%d", i)
		c.span(at, p.From, p.To)
		c.given(ends...).want(p.From >= healed, at+".from", "%v, before the partition in front of it heals at %v", p.From, healed)
		healed, ends = max(healed, p.To), append(ends, at+".to")
		c.want(len(p.Groups) >= 2, at+".groups", "%d groups, want at least 2", len(p.Groups))
		c.shares(at+".groups", "", p.Groups)
		for _, g := range p.Groups {
			c.given("nodes").want(g <= 0 || math.Round(g*float64(c.s.Nodes)) >= 1, at+".groups", "a share of %v, which is nobody of nodes=%d", g, c.s.Nodes)
		}
	}
	c.share("silent", c.s.Silent, false)
}

func (c *check) attackers() {
	numbers := []string{"nodes"} // and what says how many of them attack
	for i := range c.s.Attackers {
		at := fmt.Sprintf("attackers.%d", i)
		numbers = append(numbers, at+".share", at+".count")
	}
	for i, a := range c.s.Attackers {
		at := fmt.Sprintf("attackers.%d", i)
		c.oneOf(at+".kind", a.Kind, Kinds())
		c.given(at+".share", at+".count").want((a.Share > 0) != (a.Count > 0), at, "given with share=%v and count=%d, want one of them more than 0", a.Share, a.Count)
		c.share(at+".share", a.Share, false)
		c.count(at+".count", a.Count, MaxNodes)
		c.given("nodes", at+".count").want(a.Number(c.s.Nodes) > 0 || a.Share <= 0, at+".share", "%v, which is nobody of nodes=%d", a.Share, c.s.Nodes)
		c.count(at+".links", a.Links, MaxNodes)
		c.given("world").want(a.Links == 0 || c.s.World == report.WorldSim, at+".links", "%d, which world %s alone knows", a.Links, report.WorldSim)
		c.given(numbers...).want(a.Links <= max(0, c.s.Nodes-c.s.Attacking()), at+".links", "%d, more than there are honest nodes", a.Links)
		c.time(at+".from", a.From)
		c.time(at+".to", a.To)
		c.given(at+".from").want(a.To == 0 || a.To > a.From, at+".to", "%v, want after from=%v", a.To, a.From)
	}
	silent := int(math.Round(c.s.Silent * float64(c.s.Nodes)))
	if dishonest := c.s.Attacking() + silent; dishonest > 0 {
		honest := c.s.Nodes - dishonest
		at := "attackers"
		if len(c.s.Attackers) == 0 {
			at = "silent"
		}
		known := c.given(append(numbers, "silent")...)
		known.want(honest >= 2, at, "such that %d nodes are dishonest, want at least 2 honest ones out of nodes=%d", dishonest, c.s.Nodes)
		known.want(honest < 2 || c.s.Txs.Origins <= honest, "txs.origins", "%d, want at most the %d honest nodes", c.s.Txs.Origins, honest)
	}
}

func (c *check) expect() {
	for i, e := range c.s.Expect {
		at := fmt.Sprintf("expect.%d", i)
		c.given(at).want(e.Field != "", at, "without a condition")
		c.given(at).want(!e.Times || e.Of != "", at, "%s, want the figure that is multiplied, as in tx.latency_ms.p99 <= 2x floor_ms.p99", e.Condition)
	}
}
