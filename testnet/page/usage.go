package page

import "github.com/grapevine-p2p/grapevine/testnet/report"

// usage shows what the run took of the machine and of the network.
func usage(t *report.Trace) (Plot, bool) {
	if len(t.Usage) < 2 {
		return Plot{}, false
	}
	p := Plot{
		Name:  "resources",
		Title: "What it took",
		About: "Over the time of the run: memory of the whole process, processor seconds for each second of the run, and the traffic of all nodes together.",
	}
	p.draw = func() *canvas { return drawUsage(t.Usage) }
	return p, true
}

func drawUsage(u []report.Usage) *canvas {
	heap := make([]point, len(u))
	cpu, wire := make([]point, 0, len(u)), make([]point, 0, len(u))
	for i, now := range u {
		at := now.AtMS / 1000
		heap[i] = point{at, now.HeapMB}
		if i == 0 || now.AtMS <= u[i-1].AtMS {
			continue
		}
		past := u[i-1]
		took := (now.AtMS - past.AtMS) / 1000
		cpu = append(cpu, point{at, max(now.CPUS-past.CPUS, 0) / took})
		sent := 0.0
		if now.WireB > past.WireB {
			sent = float64(now.WireB - past.WireB)
		}
		wire = append(wire, point{at, sent * 8 / 1e6 / took})
	}
	c := &canvas{width: 720, height: 220}
	panel(c, 0, "memory, MB", heap)
	panel(c, 1, "processors", cpu)
	panel(c, 2, "traffic, Mbit/s", wire)
	return c
}

// panel is the n-th of three small plots beside each other. Time may begin
// before the load, where it is negative.
func panel(c *canvas, n int, name string, values []point) {
	if len(values) == 0 {
		return
	}
	first, last, most := values[0].x, values[0].x, 0.0
	for _, v := range values {
		first, last, most = min(first, v.x), max(last, v.x), max(most, v.y)
	}
	left := 240 * float64(n)
	f := frame{left: left + 48, top: 40, right: left + 228, bottom: 170, xMax: max(last-first, 1e-3), yMax: max(most, 1e-9) * 1.1}
	f.axes(c, 3, 3, "s", plain)
	c.text(f.left, 22, "start", "key", "%s", name)
	line := make([]point, len(values))
	for i, v := range values {
		line[i] = f.at(v.x-first, v.y)
	}
	ground := append([]point{{line[0].x, f.bottom}}, line...)
	c.area(append(ground, point{line[len(line)-1].x, f.bottom}), "band tx")
	c.polyline(line, "line tx")
}
