package attack

// duplicates passes every message on many times, also to the peer that it came
// from.
type duplicates struct {
	honest
	copies int
}

func newDuplicates(p *params) rule {
	return &duplicates{copies: p.number("copies", "of each message to each peer", 50, 2, 10_000)}
}

func (d *duplicates) message(n *node, m *message) {
	for _, l := range n.audience(m.carried.GetTopic()) {
		for range d.copies {
			l.publish(m.carried)
		}
	}
}
