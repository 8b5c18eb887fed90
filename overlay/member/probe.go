package member

import (
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// probe is one question whether a peer lives, put several times.
type probe struct {
	target peerscore.PeerID
	nonce  uint64
	sent   int       // pings, or requests to others
	due    time.Time // next
	helped bool      // somebody else answered: our own lines are good
}

// maxProbes bounds the probes under way.
const maxProbes = 256

// quiet is the time without a word after which a peer is probed. It is much the
// same for both ends of a link, since it is that of the network and not of a
// node: one question serves both, and whoever dies, the next question on each of
// its links is put to it.
func (m *Machine) quiet() time.Duration {
	members := max(1, len(m.view.list))
	return min(m.config.QuietMost, m.config.QuietEach*time.Duration(members))
}

// rest puts the next question over a link off. Only questions and answers do so,
// which both ends take part in; and no two times are the same. What all nodes
// pass on at one moment, such as a rumour, would else have all questions asked
// at one moment, and who dies behind it would not be asked for long.
func (m *Machine) rest(l *link) {
	quiet := m.quiet()
	l.due = m.now.Add(quiet - quiet/4 + m.spread(quiet/2+1))
}

// probeQuiet begins to probe the links that were quiet for too long.
func (m *Machine) probeQuiet() {
	for _, p := range m.order {
		if l := m.links[p]; !m.now.Before(l.due) {
			m.rest(l)
			m.probe(p)
		}
	}
}

// probe begins to probe target, unless that is under way.
func (m *Machine) probe(target peerscore.PeerID) {
	if m.probing(target) != nil || len(m.probes) >= maxProbes {
		return
	}
	m.counts.Probes++
	m.probes = append(m.probes, &probe{target: target, nonce: m.rng.Uint64(), due: m.now})
}

func (m *Machine) probing(target peerscore.PeerID) *probe {
	i := slices.IndexFunc(m.probes, func(p *probe) bool { return p.target == target })
	if i < 0 {
		return nil
	}
	return m.probes[i]
}

// driveProbes puts the questions that are due, and ends the probes that had no
// answer.
func (m *Machine) driveProbes(out []Action) []Action {
	var failed []*probe
	m.probes = slices.DeleteFunc(m.probes, func(p *probe) bool {
		if m.now.Before(p.due) {
			return false
		}
		if p.sent >= m.config.Pings {
			failed = append(failed, p)
			return true
		}
		m.ping(p.target, p.nonce)
		if p.sent > 0 || m.links[p.target] == nil {
			m.askOthers(p.target, p.nonce)
		}
		p.sent++
		p.due = m.now.Add(m.patience(m.config.PingEvery))
		return false
	})
	m.counts.Failed += uint64(len(failed))
	for _, p := range failed {
		if !p.helped {
			m.unwell() // nobody answered: it may be us
		}
		out = m.accuse(p.target, out)
	}
	return out
}

// ping asks target itself, if there is a link.
func (m *Machine) ping(target peerscore.PeerID, nonce uint64) {
	l := m.links[target]
	if l == nil {
		return
	}
	if l.unanswered.IsZero() {
		l.unanswered = m.now
	}
	f := m.to(target)
	f.pings = append(f.pings, nonce)
}

// askOthers asks a few to probe target for us.
func (m *Machine) askOthers(target peerscore.PeerID, nonce uint64) {
	var seq uint64
	if s := m.view.get(target); s != nil {
		seq = s.Record.Seq
	}
	for _, p := range m.some(m.config.Indirect, target) {
		f := m.to(p)
		f.requests = append(f.requests, request{nonce, target, seq})
	}
}

// pinged answers a ping. The channel proves who we are.
func (m *Machine) pinged(from peerscore.PeerID, nonce uint64) {
	f := m.to(from)
	f.acks = append(f.acks, nonce)
}

// requested probes for another: with the proof that we already have, or by
// asking the target, or not at all, of which the prober hears at once.
func (m *Machine) requested(from peerscore.PeerID, l *link, r request) {
	if !l.request.take(m.now, requestsAtOnce, requestsPerSecond) {
		return
	}
	s := m.view.get(r.target)
	switch {
	case r.target == m.self:
		m.answer(from, relayed{r.nonce, from})
	case s != nil && s.listed() && s.Record.Seq > r.seq:
		f := m.to(from)
		f.records = append(f.records, s.Record.Sealed)
		f.nacks = append(f.nacks, r.nonce)
	case m.links[r.target] != nil:
		f := m.to(r.target)
		f.relayed = append(f.relayed, relayed{r.nonce, from})
	default:
		f := m.to(from)
		f.nacks = append(f.nacks, r.nonce)
	}
}

// answer signs for a prober that asks through via, who could otherwise claim
// what it likes.
func (m *Machine) answer(via peerscore.PeerID, r relayed) {
	a := signedAck{nonce: r.nonce, prober: r.prober, target: m.self, seq: m.own.Seq}
	sig, err := m.signer.Sign(a.message(m.network))
	if err != nil {
		return // our own trouble; the direct road is open
	}
	a.signature = sig
	f := m.to(via)
	f.signed = append(f.signed, a)
}

// signedAck takes an answer to us, or passes on one for another. Either way it
// is checked: who passes on what does not verify is at fault.
func (m *Machine) signedAck(from peerscore.PeerID, l *link, a signedAck, out []Action) []Action {
	ours := a.prober == m.self
	if ours && !m.asked(a.target, a.nonce) || !ours && (a.target != from || m.links[a.prober] == nil) {
		return out // late, or not ours to carry
	}
	if !l.request.take(m.now, requestsAtOnce, requestsPerSecond) {
		return out
	}
	if !m.signer.Verify(a.target, a.message(m.network), a.signature) {
		return append(out, Fault{from, BadSignature})
	}
	if !ours {
		f := m.to(a.prober)
		f.signed = append(f.signed, a)
		return out
	}
	return m.lives(a.target, out)
}

// asked says whether we await an answer of target with this nonce.
func (m *Machine) asked(target peerscore.PeerID, nonce uint64) bool {
	if p := m.probing(target); p != nil && p.nonce == nonce {
		return true
	}
	s := m.view.get(target)
	return s != nil && s.State == Suspect && s.nonce == nonce
}

// nacked notes that somebody answered us at least.
func (m *Machine) nacked(nonce uint64) {
	for _, p := range m.probes {
		if p.nonce == nonce {
			p.helped = true
		}
	}
}

// lives takes a proof that p is alive: what we wonder about it is answered.
func (m *Machine) lives(p peerscore.PeerID, out []Action) []Action {
	m.probes = slices.DeleteFunc(m.probes, func(q *probe) bool {
		if q.target != p {
			return false
		}
		m.health = max(0, m.health-1)
		return true
	})
	if s := m.view.get(p); s != nil {
		out = m.clear(s, out)
	}
	return out
}
