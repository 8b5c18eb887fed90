package node

import (
	"net/http"
	"regexp"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/grapevine-p2p/grapevine/internal/traffic"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// meters are a node's numbers, on a registry of its own. They are the one place
// where hooks become metrics.
type meters struct {
	registry *prometheus.Registry

	txs        *prometheus.CounterVec // judged, by verdict and rule
	duplicates prometheus.Counter
	accepted   prometheus.Counter
	left       *prometheus.CounterVec // out of the pool, by reason
	poolCount  prometheus.Gauge
	poolBytes  prometheus.Gauge

	blocks    *prometheus.CounterVec // by origin
	txsIn     prometheus.Counter
	rollbacks prometheus.Counter
	height    prometheus.Gauge
	final     prometheus.Gauge
	rebuilt   *prometheus.CounterVec // by how
	rebuildS  prometheus.Histogram
	parts     partMeters
	evidence  prometheus.Counter

	dropped  *prometheus.CounterVec // messages, by where
	refused  prometheus.Counter
	offences *prometheus.CounterVec
	missed   *prometheus.CounterVec // own slots without a block, by reason
	syncS    prometheus.Histogram

	shed *prometheus.CounterVec // messages, by why
	cut  *prometheus.CounterVec // peers, by why

	recon reconMeters
	sync  syncMeters

	storeFailed   prometheus.Gauge
	storeFailures prometheus.Counter
}

func newMeters() *meters {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "grapevine", Name: name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "grapevine", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "grapevine", Name: name, Help: help})
	}
	m := &meters{
		registry:   prometheus.NewRegistry(),
		txs:        counters("transactions_judged_total", "First copies of transactions from peers, by verdict and the rule they broke.", "verdict", "rule"),
		duplicates: counter("transactions_duplicate_total", "Further copies of transactions from peers."),
		accepted:   counter("transactions_accepted_total", "Transactions accepted from local users."),
		left:       counters("mempool_removed_total", "Transactions that left the mempool, by reason.", "reason"),
		poolCount:  gauge("mempool_transactions", "Transactions in the mempool."),
		poolBytes:  gauge("mempool_bytes", "Bytes of transactions in the mempool."),
		blocks:     counters("blocks_added_total", "Blocks added to the tree, by origin (own, peer).", "origin"),
		txsIn:      counter("transactions_included_total", "Transactions of blocks that joined the best chain."),
		rollbacks:  counter("blocks_rolled_back_total", "Blocks that left the best chain."),
		height:     gauge("chain_height", "Height of the best chain."),
		final:      gauge("chain_final_height", "Height of the last final block."),
		rebuilt:    counters("blocks_rebuilt_total", "Announced blocks put together, by how (at_once, rounds, chunks, whole, or empty).", "how"),
		parts:      newPartMeters(counters, counter),
		rebuildS: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "grapevine", Name: "block_rebuild_seconds", Help: "Time from a header to its block in the chain.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 12),
		}),
		evidence: counter("equivocations_total", "Producers found to have signed two headers for a slot."),
		dropped:  counters("messages_dropped_total", "Gossip messages dropped for a full queue, by topic and side (send, validate).", "topic", "side"),
		refused:  counter("hello_refused_total", "Peers sent away at hello."),
		offences: counters("offences_total", "Offences charged to peers.", "offence"),
		missed:   counters("slots_missed_total", "Own slots in which no block was made, by reason.", "reason"),
		syncS: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "grapevine", Name: "store_write_seconds", Help: "Time of a write to the store until it is on disk.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		shed: counters("transactions_shed_total", "Messages of transactions dropped unread, by why (budget, overload).", "why"),
		cut:  counters("peers_cut_total", "Peers that were banned and disconnected, by why.", "why"),
		sync: syncMeters{
			fetched:  counter("sync_blocks_total", "Blocks fetched from peers that are in the chain now."),
			replaced: counter("sync_sources_replaced_total", "Requests for blocks that were taken from a peer that let this node wait."),
		},
		recon: reconMeters{
			sessions:  gauge("recon_sessions", "Sessions of reconciliation that are open."),
			exchanges: counters("recon_exchanges_total", "Exchanges of reconciliation, by outcome (equal, different).", "outcome"),
			lacking:   counters("recon_differences_total", "Transactions that an exchange found on one side only, by side (theirs, ours).", "side"),
			bytes:     counters("recon_bytes_total", "Bytes of frames of reconciliation, by direction (in, out).", "direction"),
			fetched:   counter("transactions_fetched_total", "Transactions that peers sent on request, after reconciliation."),
			oneSided:  gauge("recon_one_sided_links", "Links outside the mesh on which peers keep giving what the mesh does not bring."),
		},
		storeFailed:   gauge("store_failed", "1 while the disk takes no writes, else 0."),
		storeFailures: counter("store_failures_total", "Times that the disk refused a write and the store was opened again."),
	}
	m.registry.MustRegister(m.txs, m.duplicates, m.accepted, m.left, m.poolCount, m.poolBytes, m.blocks, m.txsIn,
		m.rollbacks, m.height, m.final, m.rebuilt, m.rebuildS, m.evidence, m.dropped, m.refused, m.offences, m.missed, m.syncS,
		m.shed, m.cut, m.storeFailed, m.storeFailures,
		m.recon.sessions, m.recon.exchanges, m.recon.lacking, m.recon.bytes, m.recon.fetched, m.recon.oneSided, m.sync.fetched, m.sync.replaced,
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(liveHeap)), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.parts.register(m.registry)
	return m
}

// liveHeap is what the last collection of garbage left: unlike the heap in use, it does not
// rise and fall with the time since then.
var liveHeap = collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/gc/heap/live:bytes$`)}

// handler serves the numbers.
func (m *meters) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// traffic adds the bytes that c counts.
func (m *meters) traffic(c *traffic.Counter) {
	for direction, bytes := range map[string]func() int64{"in": c.In, "out": c.Out} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: "grapevine", Name: "stream_bytes_total", Help: "Bytes of libp2p streams, by direction.",
			ConstLabels: prometheus.Labels{"direction": direction},
		}, func() float64 { return float64(bytes()) }))
	}
}

// watch adds a number that is asked for when wanted.
func (m *meters) watch(name, help string, ask func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "grapevine", Name: name, Help: help},
		func() float64 { return float64(ask()) }))
}

// peers adds the numbers of connections, which are asked for when wanted.
func (m *meters) peers(list func() []overlay.PeerInfo) {
	count := func(want func(overlay.PeerInfo) bool) func() float64 {
		return func() float64 {
			n := 0
			for _, p := range list() {
				if want(p) {
					n++
				}
			}
			return float64(n)
		}
	}
	for _, g := range []struct {
		name, help string
		want       func(overlay.PeerInfo) bool
	}{
		{"peers", "Connected peers that said hello.", func(p overlay.PeerInfo) bool { return !p.Guest }},
		{"guests", "Connected peers that speak no hello.", func(p overlay.PeerInfo) bool { return p.Guest }},
		{"mesh_transaction_peers", "Peers in the transaction mesh.", func(p overlay.PeerInfo) bool { return p.InTxMesh }},
		{"mesh_block_peers", "Peers in the block mesh.", func(p overlay.PeerInfo) bool { return p.InBlockMesh }},
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "grapevine", Name: g.name, Help: g.help}, count(g.want)))
	}
}

func (m *meters) headChanged(n headNews) {
	origin := "peer"
	if n.own {
		origin = "own"
	}
	m.blocks.WithLabelValues(origin).Inc()
	m.rollbacks.Add(float64(len(n.change.RolledBack)))
	for _, b := range n.applied {
		m.txsIn.Add(float64(len(b.Txs())))
	}
	m.at(n.change.Head, n.change.Final)
}

func (m *meters) at(head, final ledger.Ref) {
	m.height.Set(float64(head.Height))
	m.final.Set(float64(final.Height))
}

// hooks returns hooks that count, publish and then call those of the caller.
func (e *events) hooks() overlay.Hooks {
	m, next := e.metrics, e.observe.Overlay
	h := next // those that are only passed on
	h.TxArrived = func(id wire.TxID, from peerscore.PeerID, v validation.Verdict, err error) {
		m.txs.WithLabelValues(v.String(), validation.RuleBroken(err)).Inc()
		if next.TxArrived != nil {
			next.TxArrived(id, from, v, err)
		}
	}
	h.TxDuplicate = func(id wire.TxID, from peerscore.PeerID) {
		m.duplicates.Inc()
		if next.TxDuplicate != nil {
			next.TxDuplicate(id, from)
		}
	}
	h.TxEchoed = func(id wire.TxID) {
		e.locals.echoed(id)
		if next.TxEchoed != nil {
			next.TxEchoed(id)
		}
	}
	h.BlockRebuilt = func(id wire.BlockID, how overlay.Rebuilt) {
		way := how.Way()
		if how.Empty() {
			way = "empty"
		}
		m.rebuilt.WithLabelValues(way).Inc()
		m.parts.rebuilt(how)
		m.rebuildS.Observe(how.Took.Seconds())
		if next.BlockRebuilt != nil {
			next.BlockRebuilt(id, how)
		}
	}
	m.parts.hooks(&h, next)
	e.journeys.hooks(&h, next)
	e.faultHooks(&h, next)
	h.TxShed = func(from peerscore.PeerID, n int, why overlay.Shed) {
		m.shed.WithLabelValues(string(why)).Add(float64(n))
		if next.TxShed != nil {
			next.TxShed(from, n, why)
		}
	}
	h.PeerCut = func(id peerscore.PeerID, why string) {
		m.cut.WithLabelValues(why).Inc()
		select {
		case e.bans <- struct{}{}:
		default:
		}
		if next.PeerCut != nil {
			next.PeerCut(id, why)
		}
	}
	h.RPCDropped = func(to peerscore.PeerID, topic string) {
		m.dropped.WithLabelValues(topic, "send").Inc()
		if next.RPCDropped != nil {
			next.RPCDropped(to, topic)
		}
	}
	h.ValidationDropped = func(from peerscore.PeerID, topic string) {
		m.dropped.WithLabelValues(topic, "validate").Inc()
		if next.ValidationDropped != nil {
			next.ValidationDropped(from, topic)
		}
	}
	h.PeerJoined = func(p overlay.PeerInfo) {
		e.peerJoined(p)
		if next.PeerJoined != nil {
			next.PeerJoined(p)
		}
	}
	h.PeerLeft = func(id peer.ID, why string) {
		e.peerLeft(id.String(), why)
		if next.PeerLeft != nil {
			next.PeerLeft(id, why)
		}
	}
	h.HelloRefused = func(id peer.ID, reason string) {
		m.refused.Inc()
		if next.HelloRefused != nil {
			next.HelloRefused(id, reason)
		}
	}
	m.recon.hooks(&h, next)
	m.sync.hooks(&h, next)
	h.Offence = func(p peerscore.PeerID, o peerscore.Offence, err error) {
		m.offences.WithLabelValues(o.String()).Inc()
		if next.Offence != nil {
			next.Offence(p, o, err)
		}
	}
	return h
}
