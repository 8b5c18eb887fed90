package node

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/validation"
)

// Members implements api.NodeReader.
func (b backend) Members(context.Context) (api.Members, error) {
	o := b.overlay.Load()
	if o == nil {
		return api.Members{}, nil
	}
	infos := o.Members()
	out := api.Members{MemberCount: memberCount(o.MemberStats()), Members: make([]api.Member, len(infos))}
	for i, m := range infos {
		out.Members[i] = api.Member{
			ID: m.ID.String(), State: m.State.String(), Since: validation.UnixMillis(m.Since), Proof: validation.UnixMillis(m.Proof),
			Addrs: []string{}, Incarnation: api.Amount(m.Incarnation), Linked: m.Linked,
		}
		for _, a := range m.Addrs {
			out.Members[i].Addrs = append(out.Members[i].Addrs, a.String())
		}
	}
	return out, nil
}

func memberCount(s overlay.MemberStats) api.MemberCount {
	return api.MemberCount{NetworkSize: s.Size, Alive: s.Alive, Suspect: s.Suspect, Dead: s.Dead}
}

// memberMetrics shows the numbers of membership as they are when they are asked for.
type memberMetrics struct{ stats func() overlay.MemberStats }

var (
	descMembers       = describe("members", "Members of the network that this node keeps, itself not included, by state (alive, suspect, dead).", "state")
	descNetworkSize   = describe("network_size", "Nodes of the network, by what this node knows.")
	descMemberLinks   = describe("member_links", "Links that speak of members.")
	descMemberProbes  = describe("member_probes_total", "Questions whether a member lives, by outcome (asked, unanswered).", "outcome")
	descMemberChanges = describe("member_changes_total", "Changes of the state of members, by kind (suspected, cleared, died, revived).", "kind")
	descMemberRefuted = describe("member_refutations_total", "Accusations of this node that it refuted.")
	descMemberBytes   = describe("member_bytes_total", "Bytes of frames of membership, by direction (in, out).", "direction")
	descMemberUnsent  = describe("member_frames_unsent_total", "Frames of membership that were not sent because the peer reads slowly.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("grapevine_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (memberMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descMembers, descNetworkSize, descMemberLinks, descMemberProbes, descMemberChanges,
		descMemberRefuted, descMemberBytes, descMemberUnsent,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m memberMetrics) Collect(to chan<- prometheus.Metric) {
	s := m.stats()
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(descMembers, s.Alive, "alive")
	gauge(descMembers, s.Suspect, "suspect")
	gauge(descMembers, s.Dead, "dead")
	gauge(descNetworkSize, s.Size)
	gauge(descMemberLinks, s.Links)
	counter(descMemberProbes, s.Probes, "asked")
	counter(descMemberProbes, s.Failed, "unanswered")
	counter(descMemberChanges, s.Suspected, "suspected")
	counter(descMemberChanges, s.Cleared, "cleared")
	counter(descMemberChanges, s.Died, "died")
	counter(descMemberChanges, s.Revived, "revived")
	counter(descMemberRefuted, s.Refuted)
	counter(descMemberBytes, s.Sent, "out")
	counter(descMemberBytes, s.Received, "in")
	counter(descMemberUnsent, s.Unsent)
}
