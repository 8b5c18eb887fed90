package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// partMeters count the parts of blocks.
type partMeters struct {
	txs     *prometheus.CounterVec // by source
	bytes   *prometheus.CounterVec // by direction
	lapses  *prometheus.CounterVec // by what
	accused prometheus.Counter
	failed  *prometheus.CounterVec // announced blocks, by why
}

func newPartMeters(counters func(name, help string, labels ...string) *prometheus.CounterVec, counter func(name, help string) prometheus.Counter) partMeters {
	return partMeters{
		txs:     counters("block_transactions_total", "Transactions of announced blocks, by source (known, filled, asked).", "source"),
		bytes:   counters("block_part_bytes_total", "Bytes of frames with parts of blocks, by direction (in, out).", "direction"),
		lapses:  counters("block_part_lapses_total", "What peers did not do while a block was put together, by what (late, empty, again, withheld).", "what"),
		accused: counter("block_chunks_refuted_total", "Blocks whose producer signed chunks of another body."),
		failed:  counters("blocks_failed_total", "Announced blocks that were not put together, by why (missing, invalid).", "why"),
	}
}

func (m partMeters) register(r *prometheus.Registry) {
	r.MustRegister(m.txs, m.bytes, m.lapses, m.accused, m.failed)
}

func (m partMeters) rebuilt(how overlay.Rebuilt) {
	m.txs.WithLabelValues("known").Add(float64(how.FromPool))
	m.txs.WithLabelValues("filled").Add(float64(how.Filled))
	m.txs.WithLabelValues("asked").Add(float64(how.Asked))
}

// hooks fills in those that tell of how blocks come.
func (m partMeters) hooks(h *overlay.Hooks, next overlay.Hooks) {
	h.CompactBytes = func(sent, received int) {
		m.bytes.WithLabelValues("out").Add(float64(sent))
		m.bytes.WithLabelValues("in").Add(float64(received))
		if next.CompactBytes != nil {
			next.CompactBytes(sent, received)
		}
	}
	h.BlockLapse = func(id wire.BlockID, p peerscore.PeerID, what compact.Lapse) {
		m.lapses.WithLabelValues(string(what)).Inc()
		if next.BlockLapse != nil {
			next.BlockLapse(id, p, what)
		}
	}
}
