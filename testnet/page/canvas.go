package page

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// canvas collects SVG elements. Coordinates are user units of a viewBox.
type canvas struct {
	strings.Builder
	width, height float64
}

// add writes one element; arguments that are text from outside are escaped by
// the caller with html.EscapeString, or come through text.
func (c *canvas) add(format string, args ...any) {
	fmt.Fprintf(c, format, args...)
	c.WriteByte('\n')
}

// text writes words; anchor is start, middle or end.
func (c *canvas) text(x, y float64, anchor, class, format string, args ...any) {
	c.add(`<text x="%s" y="%s" text-anchor="%s" class="%s">%s</text>`,
		coord(x), coord(y), anchor, class, html.EscapeString(fmt.Sprintf(format, args...)))
}

func (c *canvas) line(x1, y1, x2, y2 float64, class string) {
	c.add(`<line x1="%s" y1="%s" x2="%s" y2="%s" class="%s"/>`, coord(x1), coord(y1), coord(x2), coord(y2), class)
}

func (c *canvas) dot(p point, radius float64, class string) {
	c.add(`<circle cx="%s" cy="%s" r="%s" class="%s"/>`, coord(p.x), coord(p.y), coord(radius), class)
}

func (c *canvas) polyline(points []point, class string) {
	if len(points) > 1 {
		c.add(`<path d="%s" class="%s"/>`, route(points), class)
	}
}

func (c *canvas) area(points []point, class string) {
	if len(points) > 2 {
		c.add(`<path d="%sZ" class="%s"/>`, route(points), class)
	}
}

// svg is the whole drawing. The label says what it shows to who cannot see it.
// Style is put inside where the drawing has to stand alone.
func (c *canvas) svg(label, style string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" role="img" aria-label="%s">`, coord(c.width), coord(c.height), html.EscapeString(label))
	b.WriteByte('\n')
	if style != "" {
		fmt.Fprintf(&b, "<style>%s</style>\n<rect width=\"100%%\" height=\"100%%\" class=\"ground\"/>\n", style)
	}
	b.WriteString(c.String())
	b.WriteString("</svg>\n")
	return b.String()
}

type point struct{ x, y float64 }

func route(points []point) string {
	var b strings.Builder
	for i, p := range points {
		step := "L"
		if i == 0 {
			step = "M"
		}
		b.WriteString(step + coord(p.x) + " " + coord(p.y))
	}
	return b.String()
}

// coord is a coordinate to a tenth of a unit, as short as it can be written.
func coord(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10+0, 'f', -1, 64)
}

// frame is the rectangle in which values are plotted, with its axes.
type frame struct {
	left, top, right, bottom float64
	xMax, yMax               float64
}

func (f frame) x(v float64) float64 {
	return f.left + min(max(v/f.xMax, 0), 1)*(f.right-f.left)
}

func (f frame) y(v float64) float64 {
	return f.bottom - min(max(v/f.yMax, 0), 1)*(f.bottom-f.top)
}

func (f frame) at(x, y float64) point { return point{f.x(x), f.y(y)} }

// axes draws grid, ticks and names.
func (f frame) axes(c *canvas, xTicks, yTicks int, xName string, yText func(float64) string) {
	for _, v := range ticks(f.yMax, yTicks) {
		class := "grid"
		if v == 0 {
			class = "axis"
		}
		c.line(f.left, f.y(v), f.right, f.y(v), class)
		c.text(f.left-8, f.y(v)+4, "end", "tick", "%s", yText(v))
	}
	for _, v := range ticks(f.xMax, xTicks) {
		c.line(f.x(v), f.bottom, f.x(v), f.bottom+4, "axis")
		c.text(f.x(v), f.bottom+18, "middle", "tick", "%s", plain(v))
	}
	c.text(f.right, f.bottom+36, "end", "name", "%s", xName)
}

// ticks are round numbers from 0 up to most, about n of them.
func ticks(most float64, n int) []float64 {
	if !(most > 0) {
		return []float64{0}
	}
	step := math.Pow(10, math.Floor(math.Log10(most/float64(n))))
	for _, times := range []float64{1, 2, 2.5, 5, 10} {
		if most/(step*times) <= float64(n) {
			step *= times
			break
		}
	}
	var at []float64
	for i := 0; float64(i)*step <= most*1.0001; i++ {
		at = append(at, float64(i)*step)
	}
	return at
}

// legend names what a class of line means, from left to right.
func legend(c *canvas, x, y float64, entries ...[2]string) {
	for _, e := range entries {
		class, text := e[0], e[1]
		if strings.HasPrefix(class, "line") {
			c.line(x, y-4, x+22, y-4, class)
		} else {
			c.add(`<rect x="%s" y="%s" width="22" height="10" rx="2" class="%s"/>`, coord(x), coord(y-9), class)
		}
		c.text(x+28, y, "start", "key", "%s", text)
		x += 28 + 7.4*float64(len([]rune(text))) + 20
	}
}
