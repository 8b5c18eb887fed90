package core

import (
	"cmp"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// trace is what plots are drawn from.
func (w *world) trace() *report.Trace {
	t := &report.Trace{}
	arrived := make([]int, w.s.Nodes)
	for _, r := range w.watch.made {
		for i, at := range r.known {
			if at != never && i != r.origin {
				arrived[i]++
			}
		}
	}
	regions, placed := w.s.Network.Latency.Regions()
	for i := range w.seats {
		n := report.TraceNode{Role: w.roles.role[i], SentB: w.network.lines[i].sent, Arrived: arrived[i]}
		if placed && regions.Names != nil {
			n.Region = regions.Names[regions.Of(i, w.s.Nodes)]
		}
		t.Nodes = append(t.Nodes, n)
	}
	t.Messages = w.traceMessages()
	t.MeshLinks = w.meshLinks()
	for kind, bytes := range w.network.bytes {
		if bytes > 0 {
			t.Kinds = append(t.Kinds, report.KindBytes{Kind: Kind(kind).String(), Bytes: bytes})
		}
	}
	slices.SortStableFunc(t.Kinds, func(a, b report.KindBytes) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return t
}

// traceMessages picks messages over the whole run, within the bounds of a
// Trace.
func (w *world) traceMessages() []report.TraceMessage {
	var all []*record
	for _, r := range w.watch.made {
		if r.counts {
			all = append(all, r)
		}
	}
	most := min(report.MaxTraceMessages, report.MaxTraceArrivals/w.s.Nodes)
	stride := max(1, (len(all)+max(most, 1)-1)/max(most, 1))
	paths := make(map[int][]time.Duration)
	var out []report.TraceMessage
	for k := 0; k < len(all) && len(out) < most; k += stride {
		r := all[k]
		if paths[r.origin] == nil {
			paths[r.origin] = w.floors(r.origin)
		}
		m := report.TraceMessage{Kind: report.KindTx, Origin: r.origin, AtMS: millis(r.at - w.start), ArrivedMS: []float64{}, FloorMS: []float64{}}
		if r.message.Kind == Block {
			m.Kind = report.KindBlock
		}
		for i, at := range r.known {
			if i == r.origin || !w.roles.honest(i) {
				continue
			}
			m.Receivers++
			if at != never {
				m.ArrivedMS = append(m.ArrivedMS, millis(at-r.at))
			}
			if d := paths[r.origin][i]; d != unreachable {
				m.FloorMS = append(m.FloorMS, millis(d))
			}
		}
		slices.Sort(m.ArrivedMS)
		slices.Sort(m.FloorMS)
		out = append(out, m)
	}
	return out
}

// meshLinks are the pairs of which one end has the other in its mesh.
func (w *world) meshLinks() [][2]int {
	var links [][2]int
	for i := range w.seats {
		n, ok := w.seats[i].machine.(*node)
		if !ok {
			continue
		}
		for _, peer := range n.gossip.mesh {
			links = append(links, [2]int{min(i, peer), max(i, peer)})
		}
	}
	slices.SortFunc(links, func(a, b [2]int) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	links = slices.Compact(links)
	return links[:min(len(links), report.MaxTraceLinks)]
}

func millis(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}
