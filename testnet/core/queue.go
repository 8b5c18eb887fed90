package core

import "time"

// event is something planned. Which fields mean something depends on what.
type event struct {
	at    time.Duration // since the start of the run
	seq   uint64        // breaks ties: what was planned first comes first
	msg   *Message
	node  int32
	peer  int32
	via   int32  // the way from peer to node, in network.ways
	gen   uint32 // of the pair or of the node's life: the event is void if that is over
	what  what
	timer Timer
}

// what is the kind of an event.
type what uint8

const (
	nodeUp    what = iota + 1
	nodeDown       // until a nodeUp
	linkUp         // both ends are told of a link
	linkDown       // and of its end
	reached        // the first bit of a message is at the receiver's line
	delivered      // the last bit is through it
	fired          // a timer of the node
	submit         // the load's next transaction
	cutUp          // a partition begins: peer says which
	healed         // and ends
	nodeStops      // its process stands still for a while
	quiet          // all are told to start, and nothing is sent yet
	opens          // the load begins
)

// before is the one order of events.
func (e *event) before(f *event) bool {
	if e.at != f.at {
		return e.at < f.at
	}
	return e.seq < f.seq
}

// queue holds planned events: a heap with four children to a node, which is
// flatter and faster than one with two.
type queue struct {
	heap []event
	seq  uint64
}

// plan adds e behind everything planned before for the same time.
func (q *queue) plan(e event) {
	q.seq++
	e.seq = q.seq
	q.heap = append(q.heap, e)
	i := len(q.heap) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&q.heap[parent]) {
			break
		}
		q.heap[i] = q.heap[parent]
		i = parent
	}
	q.heap[i] = e
}

// next takes out the event that comes next.
func (q *queue) next() (e event, ok bool) {
	if len(q.heap) == 0 {
		return event{}, false
	}
	e = q.heap[0]
	last := q.heap[len(q.heap)-1]
	q.heap[len(q.heap)-1] = event{} // lest it keep a message alive
	q.heap = q.heap[:len(q.heap)-1]
	if len(q.heap) > 0 {
		q.sink(last)
	}
	return e, true
}

// sink puts e where the heap's top was taken out.
func (q *queue) sink(e event) {
	h := q.heap
	i := 0
	for {
		least := -1
		for child := 4*i + 1; child < min(4*i+5, len(h)); child++ {
			if least < 0 || h[child].before(&h[least]) {
				least = child
			}
		}
		if least < 0 || !h[least].before(&e) {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = e
}
