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

// delivery is the share of deliveries made by a time after publishing, beside
// what the links alone would take.
func delivery(r *report.Report, kind, name string, s report.Spread) (Plot, bool) {
	if s.LatencyMS == nil {
		return Plot{}, false
	}
	p := Plot{
		Name:  "delivery-" + kind,
		Title: name + ": delivered by",
		About: "Share of all expected deliveries made within a time after publishing. The dashed line is the floor: the shortest path over the links, bandwidth and work costing nothing.",
	}
	p.draw = func() *canvas { return drawDelivery(r, kind, s) }
	return p, true
}

func drawDelivery(r *report.Report, kind string, s report.Spread) *canvas {
	got, floor := curves(ofKind(r.Trace, kind))
	// Room to the right of the 99th percentile for its label, but not for a
	// long tail, which would press everything else together.
	last := max(1.5*s.LatencyMS.P99, min(s.LatencyMS.Max, 1.6*s.LatencyMS.P99))
	if r.FloorMS != nil {
		last = max(last, r.FloorMS.Max)
	}
	c := &canvas{width: 720, height: 340}
	f := frame{left: 56, top: 40, right: 700, bottom: 286, xMax: max(last, 1e-3) * 1.03, yMax: 1}
	f.axes(c, 8, 4, "ms after publishing", func(v float64) string { return plain(v*100) + " %" })
	keys := [][2]string{{"line " + kind, "delivered"}}
	if r.FloorMS != nil {
		keys = append(keys, [2]string{"line floor", "floor"})
	}
	legend(c, f.left, 18, keys...)

	if r.FloorMS != nil {
		points := floor.points(f)
		if points == nil {
			points = known(f, *r.FloorMS, 1)
		}
		c.polyline(points, "line floor")
	}
	points := got.points(f)
	if points == nil {
		ratio := 1.0
		if s.DeliveryRatio != nil {
			ratio = *s.DeliveryRatio
		}
		points = known(f, *s.LatencyMS, ratio)
	}
	c.polyline(points, "line "+kind)
	marks(c, f, kind, r, s)
	if s.LatencyMS.Max > f.xMax {
		c.text(f.right, f.y(1)+42, "end", "note", "last after %s ms →", figure(s.LatencyMS.Max))
	}
	return c
}

// marks points out the median and the 99th percentile, with their distance
// from the floor.
func marks(c *canvas, f frame, kind string, r *report.Report, s report.Spread) {
	ratio := 1.0
	if s.DeliveryRatio != nil {
		ratio = *s.DeliveryRatio
	}
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

// known is the curve through the percentiles that a report has without a trace.
func known(f frame, p report.Percentiles, ratio float64) []point {
	points := []point{f.at(p.P50, 0.5*ratio), f.at(p.P90, 0.9*ratio), f.at(p.P99, 0.99*ratio)}
	if p.Max <= f.xMax {
		points = append(points, f.at(p.Max, ratio))
	}
	return points
}
