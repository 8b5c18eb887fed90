package page

import (
	"fmt"
	"slices"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// curve is a distribution: how many of all are there at or below x.
type curve struct {
	sorted []float64
	of     int // all, those that never came included
}

// curvePoints bounds the points of a drawn curve.
const curvePoints = 240

// aboutDelivery explains the drawing of a run.
func aboutDelivery(r *report.Report) string {
	text := "Share of all expected deliveries made within a time after publishing."
	if r.FloorMS != nil {
		text += " The dashed line is the floor: the shortest path over the links, bandwidth and work costing nothing."
	}
	return text
}

// delivery is the share of deliveries made by a time after publishing, beside
// what the links alone would take.
func delivery(r *report.Report, kind, name string) (Plot, bool) {
	if spreadOf(r, kind).LatencyMS == nil {
		return Plot{}, false
	}
	p := Plot{Name: "delivery-" + kind, Title: name + ": delivered by", About: aboutDelivery(r)}
	p.draw = func() *canvas {
		c, f := drawDeliveries(kind, run{r, kind, "delivered"})
		marks(c, f, kind, r)
		return c
	}
	return p, true
}

// Versus are the deliveries of two runs in one drawing each. The floor is that
// of a.
func Versus(a, b *report.Report) []Plot {
	nameA, nameB := a.Relay, b.Relay
	if nameA == nameB {
		nameA, nameB = "A: "+nameA, "B: "+nameB
	}
	var plots []Plot
	for _, kind := range []string{report.KindTx, report.KindBlock} {
		if spreadOf(a, kind).LatencyMS == nil || spreadOf(b, kind).LatencyMS == nil {
			continue
		}
		plots = append(plots, Plot{
			Name: "versus-" + kind, Title: a.Scenario + ", " + kind + ": " + nameA + " and " + nameB, About: aboutDelivery(a),
			draw: func() *canvas {
				c, _ := drawDeliveries(kind, run{a, report.KindBlock, nameA}, run{b, report.KindTx, nameB})
				return c
			},
		})
	}
	return plots
}

func spreadOf(r *report.Report, kind string) report.Spread {
	if kind == report.KindBlock {
		return r.Block.Spread
	}
	return r.Tx.Spread
}

// run is one line in a drawing of deliveries.
type run struct {
	r           *report.Report
	class, name string
}

// drawDeliveries draws the runs, each of which has latencies, and the floor of
// the first.
func drawDeliveries(kind string, runs ...run) (*canvas, frame) {
	last := 1e-3
	for _, one := range runs {
		// Room to the right of the 99th percentile for its label, but not for
		// a long tail, which would press everything else together.
		l := spreadOf(one.r, kind).LatencyMS
		last = max(last, 1.5*l.P99, min(l.Max, 1.6*l.P99))
	}
	base := runs[0].r.FloorMS
	if base != nil {
		last = max(last, base.Max)
	}
	c := &canvas{width: 720, height: 340}
	f := frame{left: 56, top: 40, right: 700, bottom: 286, xMax: last * 1.03, yMax: 1}
	f.axes(c, 8, 4, "ms after publishing", func(v float64) string { return plain(v*100) + " %" })
	var keys [][2]string
	var under []point
	for i, one := range runs {
		got, floor := curves(ofKind(one.r.Trace, kind))
		keys = append(keys, [2]string{"line " + one.class, one.name})
		c.polyline(got.orKnown(f, spreadOf(one.r, kind)), "line "+one.class)
		if i == 0 && base != nil {
			under = floor.orKnown(f, report.Spread{LatencyMS: base})
		}
		if l := spreadOf(one.r, kind).LatencyMS; l.Max > f.xMax {
			c.text(f.right, f.y(1)+42+18*float64(i), "end", "note", "last of %s after %s ms →", one.name, figure(l.Max))
		}
	}
	if base != nil {
		c.polyline(under, "line floor")
		keys = append(keys, [2]string{"line floor", "floor"})
	}
	legend(c, f.left, 18, keys...)
	return c, f
}

// marks points out the median and the 99th percentile, with their distance
// from the floor.
func marks(c *canvas, f frame, kind string, r *report.Report) {
	s := spreadOf(r, kind)
	ratio := ratioOf(s)
	for _, m := range []struct {
		name      string
		q, at, of float64
		dy        float64
	}{
		{"p50", 0.50, s.LatencyMS.P50, floorAt(r, 50), 4},
		{"p99", 0.99, s.LatencyMS.P99, floorAt(r, 99), 19},
	} {
		p := f.at(m.at, m.q*ratio)
		c.dot(p, 4.5, "mark "+kind)
		text := fmt.Sprintf("%s %s ms", m.name, figure(m.at))
		if m.of > 0 {
			text += fmt.Sprintf(", %s × floor", figure(m.at/m.of))
		}
		x, anchor := p.x+11, "start"
		if x+7.4*float64(len([]rune(text))) > f.right {
			x, anchor = p.x-11, "end"
		}
		c.text(x, p.y+m.dy, anchor, "label", "%s", text)
	}
}

func floorAt(r *report.Report, q int) float64 {
	switch {
	case r.FloorMS == nil:
		return 0
	case q == 50:
		return r.FloorMS.P50
	default:
		return r.FloorMS.P99
	}
}

// curves are the arrivals of messages, and their floors.
func curves(messages []report.TraceMessage) (got, floor curve) {
	for _, m := range messages {
		got.sorted = append(got.sorted, m.ArrivedMS...)
		got.of += m.Receivers
		floor.sorted = append(floor.sorted, m.FloorMS...)
		floor.of += len(m.FloorMS)
	}
	slices.Sort(got.sorted)
	slices.Sort(floor.sorted)
	return got, floor
}

// points is nil without data.
func (v curve) points(f frame) []point {
	n := len(v.sorted)
	if n == 0 || v.of == 0 {
		return nil
	}
	points := []point{f.at(v.sorted[0], 0)}
	last := -1
	for k := range curvePoints {
		i := k * (n - 1) / (curvePoints - 1)
		if i == last || v.sorted[i] > f.xMax {
			continue
		}
		last = i
		points = append(points, f.at(v.sorted[i], float64(i+1)/float64(max(v.of, n))))
	}
	return points
}

func ratioOf(s report.Spread) float64 {
	if s.DeliveryRatio == nil {
		return 1
	}
	return *s.DeliveryRatio
}

// orKnown are the points of the curve, or, without a trace, those of the
// percentiles that every report has.
func (v curve) orKnown(f frame, s report.Spread) []point {
	if points := v.points(f); points != nil {
		return points
	}
	p, ratio := *s.LatencyMS, ratioOf(s)
	points := []point{f.at(p.P50, 0.5*ratio), f.at(p.P90, 0.9*ratio), f.at(p.P99, 0.99*ratio)}
	if p.Max <= f.xMax {
		points = append(points, f.at(p.Max, ratio))
	}
	return points
}
