package core

import "time"

// plan puts into the queue what the scenario says will happen.
func (w *world) plan() {
	for i := range w.seats {
		at := time.Duration(0)
		if n := len(w.seats); n > 1 {
			at = w.s.Start.Wave * time.Duration(i) / time.Duration(n)
		}
		w.queue.plan(event{at: at, what: nodeUp, node: int32(i)})
	}
	w.queue.plan(event{at: w.s.Start.Wave, what: quiet})
	w.queue.plan(event{at: w.start, what: opens})
	w.planPartitions()
	w.planChurn()
}

func (w *world) planPartitions() {
	rng := stream(w.s.Seed, forGroups, 0)
	for i, p := range w.s.Partitions {
		w.cuts = append(w.cuts, shared(rng, w.s.Nodes, p.Groups))
		w.queue.plan(event{at: w.start + p.From, what: cutUp, peer: int32(i)})
		w.queue.plan(event{at: w.start + p.To, what: healed})
	}
}

// planChurn restarts nodes one after the other, each once before any of them
// a second time.
func (w *world) planChurn() {
	rng := stream(w.s.Seed, forChurn, 0)
	for _, c := range w.s.Churn {
		count := c.Restarts(w.s.Nodes)
		if count == 0 {
			continue
		}
		step := (c.To - c.From) / time.Duration(count)
		var order []int
		for k := range count {
			if len(order) == 0 {
				order = rng.Perm(w.s.Nodes)
			}
			node := order[0]
			order = order[1:]
			down := w.start + c.From + time.Duration(k)*step
			if !w.seats[node].alive(down-1, down+c.Down+1) {
				continue // away at that time already
			}
			w.seats[node].away = append(w.seats[node].away, absent{down, down + c.Down})
			if c.Stopped {
				w.queue.plan(event{at: down, what: nodeStops, node: int32(node)})
				continue
			}
			w.queue.plan(event{at: down, what: nodeDown, node: int32(node)})
			w.queue.plan(event{at: down + c.Down, what: nodeUp, node: int32(node)})
		}
	}
}

// absence is when a node that is away now comes back.
func (s *seat) absence(now time.Duration) (until time.Duration) {
	for _, a := range s.away {
		if a.from <= now && now < a.to {
			until = max(until, a.to)
		}
	}
	return until
}

// alive says whether a node was up all that time.
func (s *seat) alive(from, to time.Duration) bool {
	for _, a := range s.away {
		if a.from < to && from < a.to {
			return false
		}
	}
	return true
}
