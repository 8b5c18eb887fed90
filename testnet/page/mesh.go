package page

import (
	"fmt"
	"html"
	"math"
	"strings"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// mostDrawn bounds the nodes of a drawn mesh. With more, nobody could see
// anything, and laying them out takes time that grows with the square.
const mostDrawn = 600

// mesh is the graph of mesh links.
func mesh(t *report.Trace) (Plot, bool) {
	if len(t.MeshLinks) == 0 || len(t.Nodes) < 2 || len(t.Nodes) > mostDrawn {
		return Plot{}, false
	}
	for _, l := range t.MeshLinks {
		if l[0] < 0 || l[1] < 0 || max(l[0], l[1]) >= len(t.Nodes) {
			return Plot{}, false
		}
	}
	p := Plot{
		Name:  "mesh",
		Title: "The mesh",
		About: fmt.Sprintf("%d nodes and the %d links along which they push, at the end of the load. Nodes that are linked are drawn towards each other; the larger, the more links.", len(t.Nodes), len(t.MeshLinks)),
	}
	p.draw = func() *canvas { return drawMesh(t) }
	return p, true
}

func drawMesh(t *report.Trace) *canvas {
	degree := make([]int, len(t.Nodes))
	for _, l := range t.MeshLinks {
		degree[l[0]]++
		degree[l[1]]++
	}
	c := &canvas{width: 720, height: 520}
	at := layout(len(t.Nodes), t.MeshLinks, c.width, c.height-30, 30)
	var d strings.Builder
	for _, l := range t.MeshLinks {
		d.WriteString(route([]point{at[l[0]], at[l[1]]}))
	}
	c.add(`<path d="%s" class="edge"/>`, d.String())
	seen := make(map[string]bool)
	for i, n := range t.Nodes {
		class := roleClass(n.Role)
		seen[class] = true
		about := fmt.Sprintf("node %d, %s, %d links", i, n.Role, degree[i])
		if n.Region != "" {
			about += ", " + n.Region
		}
		if n.SentB > 0 {
			about += ", sent " + bytesText(float64(n.SentB))
		}
		radius := 2.5 + 1.1*math.Sqrt(float64(degree[i]))
		c.add(`<circle cx="%s" cy="%s" r="%s" class="node %s"><title>%s</title></circle>`,
			coord(at[i].x), coord(at[i].y), coord(radius), class, html.EscapeString(about))
	}
	var keys [][2]string
	for _, class := range []string{report.RoleHonest, report.RoleProducer, report.RoleSilent, attackerClass} {
		if seen[class] {
			keys = append(keys, [2]string{"node " + class, class})
		}
	}
	legend(c, 16, c.height-10, keys...)
	return c
}

const attackerClass = "attacker"

func roleClass(role string) string {
	switch role {
	case report.RoleHonest, report.RoleProducer, report.RoleSilent:
		return role
	case "":
		return report.RoleHonest
	}
	return attackerClass
}

// layout places n nodes by springs along links and a push between all: it
// begins on a spiral and cools down, so the same graph always looks the same.
func layout(n int, links [][2]int, width, height, margin float64) []point {
	const rounds = 220
	at := make([]point, n)
	for i := range at {
		const golden = 2.399963229728653 // turns as seeds of a sunflower do, so that no two begin in one place
		radius := math.Sqrt((float64(i) + 0.5) / float64(n))
		at[i] = point{radius * math.Cos(golden*float64(i)), radius * math.Sin(golden*float64(i))}
	}
	ideal := 1.6 / math.Sqrt(float64(n))
	force := make([]point, n)
	for round := range rounds {
		clear(force)
		for i := range n {
			for j := range i {
				dx, dy := at[i].x-at[j].x, at[i].y-at[j].y
				square := max(dx*dx+dy*dy, 1e-6)
				push := ideal * ideal / square
				force[i].x += dx * push
				force[i].y += dy * push
				force[j].x -= dx * push
				force[j].y -= dy * push
			}
		}
		for _, l := range links {
			a, b := l[0], l[1]
			dx, dy := at[a].x-at[b].x, at[a].y-at[b].y
			pull := math.Hypot(dx, dy) / ideal * 0.12
			force[a].x -= dx * pull
			force[a].y -= dy * pull
			force[b].x += dx * pull
			force[b].y += dy * pull
		}
		step := 0.12 * (1 - float64(round)/rounds)
		for i := range at {
			length := math.Hypot(force[i].x, force[i].y)
			if length == 0 {
				continue
			}
			moved := min(length, step) / length
			at[i].x += force[i].x*moved - at[i].x*0.005
			at[i].y += force[i].y*moved - at[i].y*0.005
		}
	}
	return fit(at, width, height, margin)
}

// fit stretches places over a rectangle.
func fit(at []point, width, height, margin float64) []point {
	low, high := at[0], at[0]
	for _, p := range at {
		low = point{min(low.x, p.x), min(low.y, p.y)}
		high = point{max(high.x, p.x), max(high.y, p.y)}
	}
	w, h := max(high.x-low.x, 1e-9), max(high.y-low.y, 1e-9)
	for i, p := range at {
		at[i] = point{margin + (p.x-low.x)/w*(width-2*margin), margin + (p.y-low.y)/h*(height-2*margin)}
	}
	return at
}
