package page

import (
	_ "embed" // the style and the outline of the page
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

//go:embed plot.css
var plotStyle string

//go:embed page.css
var pageStyle string

//go:embed page.html
var outline string

var document = template.Must(template.New("page").Parse(outline))

// Write writes the page of r.
func Write(w io.Writer, r *report.Report) error {
	v := view{
		Report: r,
		Style:  template.CSS(plotStyle + pageStyle), // ours
		Where:  where(r),
		Tiles:  tiles(r),
	}
	for _, p := range Plots(r) {
		v.Plots = append(v.Plots, drawn{Plot: p, Drawing: template.HTML(p.inline())}) // canvas escapes what is not ours
	}
	for _, name := range report.Figures() {
		if f, err := r.Figure(name); err == nil {
			v.Figures = append(v.Figures, named{name, figure(f)})
		}
	}
	if err := document.Execute(w, v); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// view is what the outline is filled with.
type view struct {
	Report  *report.Report
	Style   template.CSS
	Where   string
	Tiles   []tile
	Plots   []drawn
	Figures []named
}

type drawn struct {
	Plot
	Drawing template.HTML
}

type named struct{ Name, Value string }

// tile is one figure that is worth being large.
type tile struct{ Name, Value, Beside string }

func where(r *report.Report) string {
	parts := []string{
		"world " + r.World,
		"relay " + r.Relay,
		plain(float64(r.Nodes)) + " nodes",
		plain(float64(r.Links)) + " links",
		fmt.Sprint("seed ", r.Seed),
	}
	if r.VirtualS != nil {
		parts = append(parts, figure(*r.VirtualS)+" s of virtual time")
	}
	if r.WallS > 0 {
		parts = append(parts, figure(r.WallS)+" s by the clock")
	}
	if r.Attack.Attackers > 0 {
		parts = append(parts, fmt.Sprintf("%d attackers (%s)", r.Attack.Attackers, r.Attack.Kind))
	}
	parts = append(parts, r.Settings...)
	return strings.Join(parts, " · ")
}

func tiles(r *report.Report) []tile {
	var all []tile
	add := func(name string, v *float64, show func(float64) string, beside string) {
		if v != nil {
			all = append(all, tile{name, show(*v), beside})
		}
	}
	ms := func(v float64) string { return figure(v) + " ms" }
	for _, k := range []struct {
		name string
		s    report.Spread
	}{{"transactions", r.Tx.Spread}, {"blocks", r.Block.Spread}} {
		if k.s.Published == 0 {
			continue
		}
		add(k.name+" delivered", k.s.DeliveryRatio, percent, fmt.Sprintf("%s of %s, %s published", plain(float64(k.s.Delivered)), plain(float64(k.s.Expected)), plain(float64(k.s.Published))))
		if l := k.s.LatencyMS; l != nil {
			beside := "p99 " + ms(l.P99)
			if r.FloorMS != nil {
				beside += ", floor " + ms(r.FloorMS.P50) + " and " + ms(r.FloorMS.P99)
			}
			add(k.name+", median", &l.P50, ms, beside)
		}
		add("copies of each", k.s.CopiesPerDelivery, figure, "of "+k.name+" that a node is handed, the first included")
	}
	add("wire bytes per payload byte", r.Bytes.WirePerPayload, figure, "every packet and its headers counted")
	add("idle traffic", r.Bytes.IdlePerNodeS, func(v float64) string { return bytesText(v) + "/s" }, "per node with nothing to send")
	add("memory", r.Resources.HeapMBPerNode, func(v float64) string { return figure(v) + " MB" }, "per node")
	add("processor time", r.Resources.CPUSPerDelivery, func(v float64) string { return figure(v*1e6) + " µs" }, "per message delivered, real time")
	if h := r.Chain.Heads; h != nil {
		all = append(all, tile{"heads at the end", plain(float64(*h)), "1 is agreement"})
	}
	return all
}
