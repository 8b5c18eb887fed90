package page

import "github.com/grapevine-p2p/grapevine/testnet/report"

// mostBars bounds the bars; what is less than the last one is added up.
const mostBars = 14

// kinds shows what the bytes on the wire were.
func kinds(t *report.Trace) (Plot, bool) {
	total := uint64(0)
	for _, k := range t.Kinds {
		total += k.Bytes
	}
	if total == 0 {
		return Plot{}, false
	}
	p := Plot{
		Name:  "bytes",
		Title: "What the bytes were",
		About: "Bytes on the wire by kind, over all nodes, with the share of the whole.",
	}
	p.draw = func() *canvas { return drawKinds(t.Kinds, total) }
	return p, true
}

func drawKinds(all []report.KindBytes, total uint64) *canvas {
	bars := all
	if len(all) > mostBars {
		rest := report.KindBytes{Kind: "all others"}
		for _, k := range all[mostBars-1:] {
			rest.Bytes += k.Bytes
		}
		bars = append(append([]report.KindBytes(nil), all[:mostBars-1]...), rest)
	}
	most := uint64(1)
	for _, b := range bars {
		most = max(most, b.Bytes)
	}
	const row, left, right = 30.0, 190.0, 560.0
	c := &canvas{width: 720, height: row*float64(len(bars)) + 16}
	for i, b := range bars {
		y := 8 + row*float64(i)
		width := max(float64(b.Bytes)/float64(most)*(right-left), 1)
		c.text(left-10, y+17, "end", "key", "%s", kindName(b.Kind))
		c.add(`<rect x="%s" y="%s" width="%s" height="16" rx="3" class="bar"/>`, coord(left), coord(y+4), coord(width))
		c.text(left+width+8, y+17, "start", "label", "%s, %.1f %%", bytesText(float64(b.Bytes)), 100*float64(b.Bytes)/float64(total))
	}
	return c
}

// kindName is what fits beside a bar: the end of a long name says more.
func kindName(kind string) string {
	const fits = 24
	name := []rune(kind)
	switch {
	case len(name) == 0:
		return "without a name"
	case len(name) > fits:
		return "…" + string(name[len(name)-fits+1:])
	}
	return kind
}
