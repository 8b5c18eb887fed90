package core

import (
	"bytes"
	"time"
)

// never is the time of what did not happen.
const never time.Duration = -1

// watch is what an outsider writes down: who made what, and when each node
// said that it believes it. Only what the receiving node says counts.
type watch struct {
	nodes  int
	byID   map[ID]*record
	made   []*record // in order
	copies [kinds]int
}

// record is one piece of content.
type record struct {
	message *Message
	origin  int
	at      time.Duration
	size    int             // of the data
	counts  bool            // it was made by an honest node while the load lasted
	known   []time.Duration // by node: when it first believed it, or never; its origin from at on
}

func newWatch(nodes int) *watch { return &watch{nodes: nodes, byID: make(map[ID]*record)} }

// publish notes that origin made m; it is false where other content has the
// same id.
func (w *watch) publish(now time.Duration, origin int, m *Message, counts bool) bool {
	r := w.byID[m.ID]
	if r == nil {
		r = &record{message: m, origin: origin, at: now, size: len(m.Data), counts: counts, known: make([]time.Duration, w.nodes)}
		for i := range r.known {
			r.known[i] = never
		}
		w.byID[m.ID] = r
		w.made = append(w.made, r)
	}
	r.known[origin] = now
	return bytes.Equal(r.message.Data, m.Data)
}

// learn notes that a node believes m; it is false for what nobody made.
func (w *watch) learn(now time.Duration, node int, id ID) bool {
	r := w.byID[id]
	if r == nil {
		return false
	}
	if r.known[node] == never {
		r.known[node] = now
	}
	return true
}

// knows says whether a node made or believes the content.
func (w *watch) knows(node int, id ID) bool {
	r := w.byID[id]
	return r != nil && r.known[node] != never
}
