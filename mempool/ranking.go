package mempool

// place is where an owner (an entry or a chain) stands in a ranking: by rank,
// and of equals by the id of the entry. It stays what it was while the owner
// changes.
type place struct {
	rank  uint64
	entry uint32
	owner uint32
}

// ranking orders owners by their places, each of which it finds again: a binary
// heap.
type ranking struct {
	before func(a, b place) bool // constant
	heap   []place
	at     *[]uint32 // by owner: where it is in the heap, plus one; 0 where it is not. Rankings may share it if no owner is in two
}

func newRanking(before func(a, b place) bool) ranking {
	return ranking{before: before, at: new([]uint32)}
}

func (r *ranking) len() int { return len(r.heap) }

// get returns the owner's place.
func (r *ranking) get(owner uint32) (p place, ok bool) {
	if int(owner) >= len(*r.at) || (*r.at)[owner] == 0 {
		return place{}, false
	}
	return r.heap[(*r.at)[owner]-1], true
}

// first returns the place before all others.
func (r *ranking) first() (p place, ok bool) {
	if len(r.heap) == 0 {
		return place{}, false
	}
	return r.heap[0], true
}

// set puts the owner of p there, wherever it stood before.
func (r *ranking) set(p place) {
	for int(p.owner) >= len(*r.at) {
		*r.at = append(*r.at, 0)
	}
	i := int((*r.at)[p.owner]) - 1
	if i < 0 {
		i = len(r.heap)
		r.heap = append(r.heap, p)
	} else if r.heap[i] == p {
		return
	}
	r.settle(i, p)
}

// remove takes the owner out, if it is in.
func (r *ranking) remove(owner uint32) {
	if int(owner) >= len(*r.at) || (*r.at)[owner] == 0 {
		return
	}
	hole := int((*r.at)[owner]) - 1
	(*r.at)[owner] = 0
	last := len(r.heap) - 1
	moved := r.heap[last]
	r.heap = r.heap[:last]
	if hole < last {
		r.settle(hole, moved)
	}
}

// settle lets p, whose place in the heap would be i, rise or sink to where it
// belongs.
func (r *ranking) settle(i int, p place) {
	for i > 0 {
		up := (i - 1) / 2
		if !r.before(p, r.heap[up]) {
			break
		}
		r.put(i, r.heap[up])
		i = up
	}
	for {
		down := 2*i + 1
		if down >= len(r.heap) {
			break
		}
		if right := down + 1; right < len(r.heap) && r.before(r.heap[right], r.heap[down]) {
			down = right
		}
		if !r.before(r.heap[down], p) {
			break
		}
		r.put(i, r.heap[down])
		i = down
	}
	r.put(i, p)
}

func (r *ranking) put(i int, p place) {
	r.heap[i] = p
	(*r.at)[p.owner] = uint32(i) + 1
}

// walk visits places in order until it is told to stop. It takes time in
// proportion to what it visits, not to what there is. The ranking must not
// change meanwhile.
type walk struct {
	of    *ranking
	front []uint32 // where in of.heap; itself a heap: of what can come next the first on top
}

func (r *ranking) walk() walk {
	w := walk{of: r}
	if len(r.heap) > 0 {
		w.front = append(w.front, 0)
	}
	return w
}

// peek returns the place that comes next.
func (w *walk) peek() (p place, ok bool) {
	if len(w.front) == 0 {
		return place{}, false
	}
	return w.of.heap[w.front[0]], true
}

// skip goes past the place that peek returned.
func (w *walk) skip() {
	below := 2*w.front[0] + 1
	switch n := uint32(len(w.of.heap)); {
	case below >= n: // nothing takes its turn from it
		last := len(w.front) - 1
		w.front[0] = w.front[last]
		w.front = w.front[:last]
		w.sink()
	default:
		w.front[0] = below
		w.sink()
		if below+1 < n {
			w.push(below + 1)
		}
	}
}

func (w *walk) before(i, j int) bool {
	return w.of.before(w.of.heap[w.front[i]], w.of.heap[w.front[j]])
}

func (w *walk) sink() {
	for i := 0; ; {
		down := 2*i + 1
		if down >= len(w.front) {
			return
		}
		if right := down + 1; right < len(w.front) && w.before(right, down) {
			down = right
		}
		if !w.before(down, i) {
			return
		}
		w.front[i], w.front[down] = w.front[down], w.front[i]
		i = down
	}
}

func (w *walk) push(at uint32) {
	w.front = append(w.front, at)
	for i := len(w.front) - 1; i > 0; {
		up := (i - 1) / 2
		if !w.before(i, up) {
			return
		}
		w.front[i], w.front[up] = w.front[up], w.front[i]
		i = up
	}
}
