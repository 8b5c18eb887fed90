package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/grapevine-p2p/grapevine/overlay"
)

// book adds the numbers of the address book, which are asked for when wanted.
func (m *meters) book(ask func() overlay.BookStatus) {
	m.watch("book_new", "Addresses in the book that others told of.", func() int { return ask().New })
	m.watch("book_tried", "Addresses in the book that answered.", func() int { return ask().Tried })
	m.watch("book_anchors", "Peers that are dialled first after a restart.", func() int { return ask().Anchors })
	m.watch("peers_chosen", "Peers that were chosen from the book, and are kept.", func() int { return ask().Outbound })
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: "grapevine", Name: "peers_evicted_total", Help: "Inbound peers that had to make room for others.",
	}, func() float64 { return float64(ask().Evicted) }))
}
