package page

import (
	"math"
	"slices"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// waveLevels are the shares of nodes for which the wave is computed.
const waveLevels = 100

// wave is how a message spreads: the time by which it has reached a share of
// the nodes, in the middle and in a band over all messages.
func wave(t *report.Trace, kind, name string) (Plot, bool) {
	messages := ofKind(t, kind)
	if len(messages) == 0 {
		return Plot{}, false
	}
	p := Plot{
		Name:  "wave-" + kind,
		Title: "How a " + name + " spreads",
		About: "Share of nodes reached over time. The line is the middle message, the band holds those from the fastest tenth to all but the slowest hundredth.",
	}
	p.draw = func() *canvas { return drawWave(messages, kind) }
	return p, true
}

func drawWave(messages []report.TraceMessage, kind string) *canvas {
	arrived := func(m report.TraceMessage) []float64 { return m.ArrivedMS }
	low, middle, high := level(messages, arrived, 10), level(messages, arrived, 50), level(messages, arrived, 99)
	floor := level(messages, func(m report.TraceMessage) []float64 { return m.FloorMS }, 50)

	c := &canvas{width: 720, height: 340}
	f := frame{left: 56, top: 40, right: 700, bottom: 286, xMax: lastFinite(low, middle, high) * 1.05, yMax: 1}
	f.axes(c, 8, 4, "ms after publishing", func(v float64) string { return plain(v*100) + " %" })
	keys := [][2]string{{"line " + kind, "middle message"}, {"band " + kind, "p10 to p99"}}
	if !math.IsInf(floor[0], 1) {
		keys = append(keys, [2]string{"line floor", "floor"})
	}
	legend(c, f.left, 18, keys...)

	left, right := edge(f, low), edge(f, high)
	slices.Reverse(right)
	c.area(append(left, right...), "band "+kind)
	c.polyline(finite(f, middle), "line "+kind)
	c.polyline(finite(f, floor), "line floor")
	return c
}

// level returns, for every share of receivers, the time by which a message had
// reached them: the given percentile over the messages, infinite where so many
// never did.
func level(messages []report.TraceMessage, times func(report.TraceMessage) []float64, percent int) []float64 {
	levels := make([]float64, waveLevels)
	reached := make([]float64, len(messages))
	for i := range levels {
		for j, m := range messages {
			rank := max((i+1)*m.Receivers+waveLevels-1, waveLevels)/waveLevels - 1
			reached[j] = math.Inf(1)
			if at := times(m); rank < len(at) {
				reached[j] = at[rank]
			}
		}
		slices.Sort(reached)
		levels[i] = reached[(len(reached)*percent+99)/100-1]
	}
	return levels
}

func lastFinite(levels ...[]float64) float64 {
	last := 1e-3
	for _, l := range levels {
		for _, v := range l {
			if !math.IsInf(v, 1) {
				last = max(last, v)
			}
		}
	}
	return last
}

// edge is one side of the band; what never came lies at the right end.
func edge(f frame, levels []float64) []point {
	points := []point{f.at(levels[0], 0)}
	for i, v := range levels {
		points = append(points, f.at(min(v, f.xMax), share(i)))
	}
	return points
}

func finite(f frame, levels []float64) []point {
	if math.IsInf(levels[0], 1) {
		return nil
	}
	points := []point{f.at(levels[0], 0)}
	for i, v := range levels {
		if math.IsInf(v, 1) || v > f.xMax {
			break
		}
		points = append(points, f.at(v, share(i)))
	}
	return points
}

func share(i int) float64 { return float64(i+1) / waveLevels }
