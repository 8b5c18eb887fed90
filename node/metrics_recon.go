package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

// reconMeters count reconciliation.
type reconMeters struct {
	sessions  prometheus.Gauge
	exchanges *prometheus.CounterVec // by outcome
	lacking   *prometheus.CounterVec // transactions, by side
	bytes     *prometheus.CounterVec // by direction
	fetched   prometheus.Counter
	oneSided  prometheus.Gauge
}

// hooks sets the hooks that count, and that then call those of the caller.
func (m *reconMeters) hooks(h *overlay.Hooks, next overlay.Hooks) {
	h.ReconSessions = func(open int) {
		m.sessions.Set(float64(open))
		if next.ReconSessions != nil {
			next.ReconSessions(open)
		}
	}
	h.ReconCompared = func(with peerscore.PeerID, theirs, ours int) {
		outcome := "equal"
		if theirs+ours > 0 {
			outcome = "different"
		}
		m.exchanges.WithLabelValues(outcome).Inc()
		m.lacking.WithLabelValues("theirs").Add(float64(theirs))
		m.lacking.WithLabelValues("ours").Add(float64(ours))
		if next.ReconCompared != nil {
			next.ReconCompared(with, theirs, ours)
		}
	}
	h.ReconBytes = func(sent, received int) {
		m.bytes.WithLabelValues("out").Add(float64(sent))
		m.bytes.WithLabelValues("in").Add(float64(received))
		if next.ReconBytes != nil {
			next.ReconBytes(sent, received)
		}
	}
	h.ReconOneSided = func(links int) {
		m.oneSided.Set(float64(links))
		if next.ReconOneSided != nil {
			next.ReconOneSided(links)
		}
	}
	h.TxFetched = func(from peerscore.PeerID, n int) {
		m.fetched.Add(float64(n))
		if next.TxFetched != nil {
			next.TxFetched(from, n)
		}
	}
}
