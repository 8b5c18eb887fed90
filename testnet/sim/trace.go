package sim

import (
	"cmp"
	"context"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// trace is what a run keeps for plots along the way. Owned by record, and read
// when that has ended.
type trace struct {
	mesh  [][2]int
	usage []report.Usage
}

// recordEvery is fine enough for a curve over a run of seconds.
const recordEvery = 500 * time.Millisecond

// record reads the mesh once, and what the process uses again and again.
func (g *stage) record(ctx context.Context) {
	if g.trace == nil {
		return
	}
	g.trace.mesh = g.mesh()
	for len(g.trace.usage) < report.MaxTracePoints {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		cpu, _ := cpuTime()
		g.trace.usage = append(g.trace.usage, report.Usage{
			AtMS: ms(time.Since(g.load)), HeapMB: float64(m.HeapAlloc) / 1e6,
			CPUS: (cpu - g.course.cpu0).Seconds(), WireB: g.world.sent() - g.course.wire0,
		})
		if !Sleep(ctx, recordEvery) {
			return
		}
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// mesh lists the pairs of which either pushes transactions to the other; with
// blocks only, those that push blocks.
func (g *stage) mesh() [][2]int {
	number := make(map[peer.ID]int)
	for i, p := range g.places {
		number[p.ID] = i
	}
	kind := Tx
	if g.s.Txs.PerSecond == 0 {
		kind = Block
	}
	pairs := make(map[[2]int]bool)
	for i, p := range g.places {
		participant := p.participant()
		if participant == nil {
			continue
		}
		for _, id := range participant.MeshPeers(kind) {
			if j, ok := number[id]; ok {
				pairs[[2]int{min(i, j), max(i, j)}] = true
			}
		}
	}
	list := slices.SortedFunc(maps.Keys(pairs), func(a, b [2]int) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	return list[:min(len(list), report.MaxTraceLinks)]
}

// traced is the report's part for plots.
func (g *stage) traced() *report.Trace {
	t := &report.Trace{MeshLinks: g.trace.mesh, Usage: g.trace.usage, Kinds: g.byKind()}
	regions, named := g.s.Network.Latency.Regions()
	for i, p := range g.places {
		n := report.TraceNode{Role: g.roleOf(p), SentB: g.world.meters[i].bytes.Load(), Arrived: p.Observer.arrived()}
		if named {
			if at := regions.Of(i, len(g.places)); at < len(regions.Names) {
				n.Region = regions.Names[at]
			}
		}
		t.Nodes = append(t.Nodes, n)
	}
	t.Messages = g.waves()
	return t
}

func (g *stage) roleOf(p *place) string {
	switch {
	case p.Attack != nil:
		return p.Attack.Kind
	case p.Silent:
		return report.RoleSilent
	case p.Producer != nil:
		return report.RoleProducer
	}
	return report.RoleHonest
}

// waves says how messages spread: at most as many of each kind as a trace may
// hold, evenly taken from all.
func (g *stage) waves() []report.TraceMessage {
	var byKind [kinds][]published
	for _, m := range g.published() {
		byKind[m.kind] = append(byKind[m.kind], m)
	}
	paths := g.paths()
	room := report.MaxTraceArrivals
	var list []report.TraceMessage
	for _, all := range byKind {
		slices.SortFunc(all, func(a, b published) int { return a.at.Compare(b.at) })
		most := min(len(all), report.MaxTraceMessages, room/max(1, len(g.places)*int(kinds)))
		for k := range most {
			list = append(list, g.wave(all[k*len(all)/most], paths))
		}
	}
	slices.SortStableFunc(list, func(a, b report.TraceMessage) int { return cmp.Compare(a.AtMS, b.AtMS) })
	return list
}

func (g *stage) wave(m published, paths func(int) []time.Duration) report.TraceMessage {
	w := report.TraceMessage{Kind: m.kind.String(), Origin: m.origin, AtMS: ms(m.at.Sub(g.load)), ArrivedMS: []float64{}, FloorMS: []float64{}}
	for i, p := range g.places {
		if i == m.origin || !p.honest {
			continue
		}
		at, seen := p.Observer.sawAt(m.kind, m.id)
		if !seen && !g.due(p, m.made) {
			continue
		}
		w.Receivers++
		if seen {
			w.ArrivedMS = append(w.ArrivedMS, ms(at.Sub(m.at)))
		}
		if d := paths(m.origin)[i]; d != unreachable {
			w.FloorMS = append(w.FloorMS, ms(d))
		}
	}
	slices.Sort(w.ArrivedMS)
	slices.Sort(w.FloorMS)
	return w
}

// arrived is how many messages the node came to know through peers.
func (o *Observer) arrived() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, first := range o.first {
		n += len(first)
	}
	return n
}

// byKind splits what was sent in the whole run by protocol.
func (g *stage) byKind() []report.KindBytes { return kindsOf(g.world.spoken()) }

// spoken is what all hosts have sent so far by protocol, nil if that is not counted. What no
// protocol wrote is the transport's: handshakes, acknowledgements, headers.
func (w *world) spoken() map[string]uint64 {
	if w.talk == nil {
		return nil
	}
	w.talk.mu.Lock()
	defer w.talk.mu.Unlock()
	rest := w.sent()
	byName := make(map[string]uint64)
	for id, n := range w.talk.bytes {
		byName[protocolName(id)] += n
		rest -= min(rest, n)
	}
	byName["transport"] = rest
	return byName
}

// kindsOf lists what was sent by protocol, most bytes first.
func kindsOf(spoken map[string]uint64) (list []report.KindBytes) {
	for name, n := range spoken {
		list = append(list, report.KindBytes{Kind: name, Bytes: n})
	}
	slices.SortFunc(list, func(a, b report.KindBytes) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Kind, b.Kind))
	})
	return list
}

// protocolName is a protocol without the network's number in it.
func protocolName(id protocol.ID) string {
	parts := strings.Split(strings.Trim(string(id), "/"), "/")
	if len(parts) > 2 && parts[0] == "grapevine" && len(parts[1]) == 16 {
		parts = slices.Delete(parts, 1, 2)
	}
	return strings.Join(parts, "/")
}

// talk counts what all hosts write, by protocol.
type talk struct {
	metrics.Reporter // nil: only what follows is called

	mu    sync.Mutex // guards what follows
	bytes map[protocol.ID]uint64
}

// LogSentMessage implements metrics.Reporter; LogSentMessageStream says more.
func (t *talk) LogSentMessage(int64) {}

// LogRecvMessage implements metrics.Reporter. Somebody sent it.
func (t *talk) LogRecvMessage(int64) {}

// LogSentMessageStream implements metrics.Reporter.
func (t *talk) LogSentMessageStream(n int64, id protocol.ID, _ peer.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes[id] += uint64(n)
}

// LogRecvMessageStream implements metrics.Reporter.
func (t *talk) LogRecvMessageStream(int64, protocol.ID, peer.ID) {}
