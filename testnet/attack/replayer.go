package attack

import "time"

// replayer sends every message again when peers have forgotten that they saw it.
type replayer struct {
	honest
	after time.Duration
	queue []replay // in the order of their times
}

type replay struct {
	at time.Time
	m  *message
}

func newReplayer(p *params) rule {
	return &replayer{after: time.Duration(p.number("after_s", "seconds until a message is sent again", 130, 1, 86_400)) * time.Second}
}

func (r *replayer) message(n *node, m *message) {
	n.forward(m)
	r.queue = append(r.queue, replay{time.Now().Add(r.after), m})
	if len(r.queue) > memory {
		r.queue = r.queue[1:]
	}
}

func (r *replayer) beat(n *node, now time.Time) {
	for len(r.queue) > 0 && !now.Before(r.queue[0].at) {
		m := r.queue[0].m
		r.queue = r.queue[1:]
		for _, l := range n.audience(m.carried.GetTopic()) {
			l.publish(m.carried)
		}
	}
}
