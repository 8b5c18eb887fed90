package member

import (
	"math"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// maxAccusers is how many accusations of one suspect are kept and passed on:
// more say nothing more.
const maxAccusers = 4

// leastAsked is how often we asked about a suspect before it dies for us, each
// time Config.Indirect others.
const leastAsked = 3

// accuse says to all that p does not answer us. A link that spoke a moment before
// we asked is asked again soon; whoever is no link any more, perhaps by nobody.
func (m *Machine) accuse(p peerscore.PeerID, out []Action) []Action {
	s := m.view.get(p)
	if s == nil || s.State == Dead || m.links[p] != nil && m.now.Before(s.grace) {
		return out
	}
	a := accusation{suspect: p, seq: s.Record.Seq, accuser: m.self}
	sig, err := m.signer.Sign(a.message(m.network))
	if err != nil {
		return out
	}
	a.signature = sig
	return m.suspect(s, a, "", out)
}

// accused takes an accusation that from passed on.
func (m *Machine) accused(from peerscore.PeerID, l *link, a accusation, out []Action) []Action {
	if a.suspect == m.self {
		return m.refute(from, l, a, out)
	}
	s, near := m.view.get(a.suspect), m.links[a.suspect]
	switch {
	case s == nil || a.seq > s.Record.Seq:
		return out // nothing that we could check
	case a.seq < s.Record.Seq:
		if s.State != Dead { // refuted already
			f := m.to(from)
			f.records = append(f.records, s.Record.Sealed)
		}
		return out
	case s.State == Dead:
		return out
	case a.accuser == a.suspect:
		return m.farewell(from, l, s, a, out)
	case len(s.accusers) >= maxAccusers || s.accusedBy(a.accuser):
		return out
	case near == nil && m.now.Before(s.grace):
		return out
	case m.view.state(a.accuser) == Unknown || !l.accuse.take(m.now, accuseAtOnce, accusePerSecond):
		return out
	case !m.signer.Verify(a.accuser, a.message(m.network), a.signature):
		return append(out, Fault{from, BadSignature})
	}
	a.signature = slices.Clone(a.signature)
	if near != nil {
		if !m.now.Before(s.told.Add(m.config.RefuteEvery)) {
			s.told = m.now
			f := m.to(a.suspect) // who has to hear of it first
			f.accuse = append(f.accuse, a)
		}
		m.probe(a.suspect)
		if m.now.Before(s.grace) { // we know better, for now
			if len(s.accusers) == 0 {
				s.accused = m.now // its time begins, should it not answer us either
			}
			s.accusers = append(s.accusers, a)
			return out
		}
	}
	return m.suspect(s, a, from, out)
}

// farewell takes the word of a peer itself that it leaves: who accuses itself
// is dead at once, until there is a newer version of its record.
func (m *Machine) farewell(from peerscore.PeerID, l *link, s *member, a accusation, out []Action) []Action {
	if !l.accuse.take(m.now, accuseAtOnce, accusePerSecond) {
		return out
	}
	if !m.signer.Verify(a.accuser, a.message(m.network), a.signature) {
		return append(out, Fault{from, BadSignature})
	}
	a.signature = slices.Clone(a.signature)
	if s.State == Suspect {
		m.view.suspects--
	}
	s.State, s.Since, s.accusers = Dead, m.now, []accusation{a}
	m.view.sum(s)
	m.counts.Died++
	m.probes = slices.DeleteFunc(m.probes, func(p *probe) bool { return p.target == a.suspect })
	for _, p := range m.some(m.config.Fanout, from, a.suspect) {
		f := m.to(p)
		f.accuse = append(f.accuse, a)
	}
	return append(out, Changed{a.suspect, Dead})
}

// Leave tells all links that we leave, so that nobody has to find out. What is
// stepped afterwards does nothing.
func (m *Machine) Leave(out []Action) []Action {
	a := accusation{suspect: m.self, seq: m.own.Seq, accuser: m.self}
	sig, err := m.signer.Sign(a.message(m.network))
	if m.left || err != nil {
		return out
	}
	a.signature = sig
	for _, p := range m.order {
		f := m.to(p)
		f.accuse = append(f.accuse, a)
	}
	out = m.flush(out)
	m.left = true
	return out
}

// suspect adds an accusation to those of s and passes it on.
func (m *Machine) suspect(s *member, a accusation, from peerscore.PeerID, out []Action) []Action {
	if s.State == Alive {
		if len(s.accusers) == 0 {
			s.accused = m.now
		}
		s.State, s.Since, s.asks = Suspect, m.now, m.now
		s.nonce = m.rng.Uint64()
		m.view.suspects++
		m.counts.Suspected++
		out = append(out, Changed{a.suspect, Suspect})
	}
	if len(s.accusers) < maxAccusers && !s.accusedBy(a.accuser) {
		s.accusers = append(s.accusers, a)
	}
	s.deadline = s.accused.Add(m.patience(m.suspicion(len(s.accusers) - 1)))
	for _, p := range m.some(m.config.Fanout, from, a.suspect) {
		f := m.to(p)
		f.accuse = append(f.accuse, a)
	}
	if from == "" && m.links[a.suspect] != nil {
		f := m.to(a.suspect)
		f.accuse = append(f.accuse, a)
	}
	return out
}

// suspicion is the time that a suspect has to refute: long when one peer only
// accuses it, for that may be the one that is not well (Lifeguard).
func (m *Machine) suspicion(confirmed int) time.Duration {
	least, most := m.config.SuspectMin, m.config.SuspectMax
	share := math.Log(float64(confirmed+1)) / math.Log(float64(m.config.Confirm+1))
	return max(least, most-time.Duration(share*float64(most-least)))
}

// driveSuspects asks about every suspect ourselves, and ends what we hoped for
// those of whom nobody could tell us that they live.
func (m *Machine) driveSuspects(out []Action) []Action {
	if m.view.suspects == 0 {
		return out
	}
	for _, s := range m.view.list {
		if s.State != Suspect {
			continue
		}
		if !m.now.Before(s.asks) {
			s.asks = m.now.Add(m.config.SuspectMin / leastAsked)
			s.asked++
			m.askOthers(s.Record.Peer, s.nonce)
			m.ping(s.Record.Peer, s.nonce)
		}
		if m.now.Before(s.deadline) {
			continue
		}
		// Who heard of nobody since cannot tell whether it is the suspect that is
		// cut off; and who has not asked often enough may have lost the answers.
		if s.asked < leastAsked || m.heard.Sub(s.accused) < m.config.SuspectMin/2 {
			continue
		}
		s.State, s.Since = Dead, m.now
		m.view.sum(s)
		m.view.suspects--
		m.counts.Died++
		out = append(out, Changed{s.Record.Peer, Dead})
	}
	return out
}

// clear takes what was held against s back.
func (m *Machine) clear(s *member, out []Action) []Action {
	s.grace, s.Proof = m.now.Add(m.config.Grace), m.now
	if s.State == Alive {
		s.accusers = nil
		return out
	}
	if s.State == Suspect {
		m.view.suspects--
		m.counts.Cleared++
	} else {
		m.counts.Revived++
	}
	s.State, s.Since, s.accusers, s.asked = Alive, m.now, nil, 0
	m.view.sum(s)
	return append(out, Changed{s.Record.Peer, Alive})
}

// refute answers an accusation of our present version with a newer one, if it is signed
// by whom it names. Who accuses an older one gets what we have.
func (m *Machine) refute(from peerscore.PeerID, l *link, a accusation, out []Action) []Action {
	switch {
	case a.seq < m.own.Seq:
		f := m.to(from)
		f.records = append(f.records, m.own.Sealed)
		return out
	case a.seq > m.own.Seq || m.now.Sub(m.sealed) < m.config.RefuteEvery:
		return out
	case from == a.accuser && !l.defence.take(m.now, defenceAtOnce, defencePerSecond):
		return out // if it tells others as well, they tell us
	case from != a.accuser && !l.hearsay.take(m.now, hearsayAtOnce, hearsayPerSecond):
		return out // so do others, if they were told
	case !l.accuse.take(m.now, accuseAtOnce, accusePerSecond):
		return out
	case !m.signer.Verify(a.accuser, a.message(m.network), a.signature):
		return append(out, Fault{from, BadSignature})
	}
	m.unwell() // somebody waited for us in vain
	m.counts.Refuted++
	m.renew(a.seq)
	return out
}

func (s *member) accusedBy(p peerscore.PeerID) bool {
	return slices.ContainsFunc(s.accusers, func(a accusation) bool { return a.accuser == p })
}
