package core

import "time"

// unreachable is the floor where no path leads.
const unreachable time.Duration = -1

// floors returns how long the fastest path from a node to every other takes,
// bandwidth aside. Nodes that are not honest pass nothing on.
func (w *world) floors(from int) []time.Duration {
	n := w.network
	at := make([]time.Duration, w.s.Nodes)
	for i := range at {
		at[i] = unreachable
	}
	done := make([]bool, w.s.Nodes)
	var q queue
	at[from] = 0
	q.plan(event{node: int32(from)})
	for {
		e, ok := q.next()
		if !ok {
			return at
		}
		i := int(e.node)
		if done[i] {
			continue
		}
		done[i] = true
		if i != from && !w.roles.honest(i) {
			continue
		}
		for _, h := range n.near[i] {
			t := e.at + n.ways[h.way].latency
			if at[h.peer] == unreachable || t < at[h.peer] {
				at[h.peer] = t
				q.plan(event{at: t, node: h.peer})
			}
		}
	}
}
