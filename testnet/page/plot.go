package page

import "github.com/grapevine-p2p/grapevine/testnet/report"

// Plot is one drawing of a report.
type Plot struct {
	Name  string // for a file: "delivery-tx"
	Title string
	About string // what to look for
	draw  func() *canvas
}

// SVG is the drawing as a file of its own, light or dark as the reader's
// screen is.
func (p Plot) SVG() string { return p.draw().svg(p.Title+". "+p.About, plotStyle) }

// inline is the drawing as a part of the page, which has the style.
func (p Plot) inline() string { return p.draw().svg(p.Title+". "+p.About, "") }

// Plots are the drawings that r has data for.
func Plots(r *report.Report) []Plot {
	var plots []Plot
	add := func(p Plot, ok bool) {
		if ok {
			plots = append(plots, p)
		}
	}
	add(delivery(r, report.KindTx, "Transactions"))
	add(delivery(r, report.KindBlock, "Blocks"))
	if r.Trace != nil {
		add(wave(r.Trace, report.KindTx, "transaction"))
		add(wave(r.Trace, report.KindBlock, "block"))
		add(kinds(r.Trace))
		add(mesh(r.Trace))
		add(usage(r.Trace))
	}
	return plots
}

// ofKind are the traced messages of one kind.
func ofKind(t *report.Trace, kind string) []report.TraceMessage {
	if t == nil {
		return nil
	}
	var found []report.TraceMessage
	for _, m := range t.Messages {
		if m.Kind == kind && m.Receivers > 0 {
			found = append(found, m)
		}
	}
	return found
}
