package member

import (
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// maxPushed bounds the bytes of records in one frame, so that it stays well
// within MaxFrame whatever else it carries.
const maxPushed = 24 << 10

// spreadEvery is the least time between two versions of a record that we pass on unasked.
// The answer to an accusation goes on to wherever that was believed; a node that is made to
// answer all the time does not have everybody talk of it.
const spreadEvery = 5 * time.Second

// hurry is the time to the next exchange when one could not carry all.
const hurry = time.Second

// received takes a frame apart. That there is one at all proves that its sender
// lives.
func (m *Machine) received(ev Received, out []Action) []Action {
	l := m.links[ev.From]
	if l == nil {
		return out
	}
	f, err := decodeFrame(ev.Frame)
	if err != nil {
		return append(out, Fault{ev.From, err})
	}
	m.heard, l.unanswered = m.now, time.Time{}
	if len(f.pings)+len(f.acks) > 0 {
		m.rest(l)
	}
	out = m.lives(ev.From, out)
	for _, n := range f.pings {
		m.pinged(ev.From, n)
	}
	for _, n := range f.nacks {
		m.nacked(n)
	}
	for _, r := range f.requests {
		m.requested(ev.From, l, r)
	}
	for _, r := range f.relayed {
		if l.request.take(m.now, requestsAtOnce, requestsPerSecond) {
			m.answer(ev.From, r)
		}
	}
	for _, a := range f.signed {
		out = m.signedAck(ev.From, l, a, out)
	}
	for _, r := range f.records { // before accusations, which they may answer
		out = m.record(ev.From, l, r, out)
	}
	for _, a := range f.accuse {
		out = m.accused(ev.From, l, a, out)
	}
	if f.syn != nil {
		m.compare(ev.From, l, f.syn)
	}
	if f.mask != 0 {
		m.reconcile(ev.From, l, f)
	}
	m.serve(ev.From, l, f.wanted)
	return out
}

// record takes a signed record: if it is newer than what we have, it proves
// that its peer lives, and is passed on.
func (m *Machine) record(from peerscore.PeerID, l *link, sealed []byte, out []Action) []Action {
	r, err := m.records.Parse(sealed)
	if err != nil {
		return append(out, Fault{from, err})
	}
	if r.Peer == m.self {
		m.outrun(r, sealed, l)
		return out
	}
	if r.Peer == "" || len(r.Peer) > MaxPeerID {
		return out
	}
	direct := from == r.Peer
	if !direct && !m.timely(r.Seq) {
		return out
	}
	s := m.view.get(r.Peer)
	rewound := s != nil && m.ahead(s.Record.Seq) && !m.ahead(r.Seq) // its clock was put right
	if s != nil && r.Seq <= s.Record.Seq && !rewound {
		if s.State == Dead { // no news to us; ours may be to them
			f := m.to(from)
			f.accuse = append(f.accuse, s.accusers...)
		}
		return out
	}
	if !l.records.take(m.now, recordsAtOnce, recordsPerSecond) {
		return out
	}
	if err := m.records.Verify(sealed); err != nil {
		return append(out, Fault{from, BadSignature})
	}
	r.Sealed = slices.Clone(sealed)
	news := false
	if s == nil {
		if s = m.view.put(r, m.now, m.links[r.Peer] != nil); s == nil {
			return out
		}
		news = true
		out = append(out, Learned{r, from}, Changed{r.Peer, Alive})
	} else {
		news = s.State != Alive || len(s.accusers) > 0
		if !m.view.update(s, r, m.now) {
			return out
		}
		out = append(out, Learned{r, from})
		out = m.lives(r.Peer, out)
	}
	s.grace = m.now.Add(m.config.Grace)
	if m.view.unlist(s, !m.timely(r.Seq)); s.unlisted {
		return out
	}
	if !news && m.now.Sub(s.spread) < spreadEvery {
		return out // digests bring it
	}
	s.spread = m.now
	for _, p := range m.some(m.config.Fanout, from, r.Peer) {
		f := m.to(p)
		f.records = append(f.records, r.Sealed)
	}
	return out
}

// outrun takes a record that we sealed in an earlier life, when our clock was
// ahead: nobody would believe ours before it is newer than that. One that nobody passes on
// (timely) is in nobody's way, and would take us to where nobody passes ours on either.
func (m *Machine) outrun(r Record, sealed []byte, l *link) {
	if r.Seq <= m.own.Seq || m.ahead(r.Seq) || !l.records.take(m.now, recordsAtOnce, recordsPerSecond) || m.records.Verify(sealed) != nil {
		return
	}
	m.renew(r.Seq)
}

// compare answers a digest (syn): with nothing if ours is equal, else with our
// entries of the buckets that differ (ack).
func (m *Machine) compare(to peerscore.PeerID, l *link, theirs []uint64) {
	ours := m.view.sums(m.ownEntry())
	if slices.Equal(ours, theirs) || !l.request.take(m.now, requestsAtOnce, requestsPerSecond) {
		return
	}
	f := m.to(to)
	first := m.rng.IntN(buckets) // if not all fit, others come another time
	for i := range buckets {
		b := (first + i) % buckets
		if ours[b] == theirs[b] {
			continue
		}
		entries := m.bucket(b)
		if len(f.entries)+len(entries) > maxEntries {
			break
		}
		f.mask |= 1 << b
		f.entries = append(f.entries, entries...)
	}
}

// bucket is the entries of one bucket.
func (m *Machine) bucket(b int) []entry {
	var out []entry
	if own := m.ownEntry(); own.id.bucket() == b {
		out = append(out, own)
	}
	for _, s := range m.view.list {
		if s.listed() && s.short.bucket() == b {
			out = append(out, entry{s.short, s.Record.Seq})
		}
	}
	return out
}

// reconcile answers entries (ack): with what we have newer or alone, with what
// we know against the dead among them, and with what we want (ack2).
func (m *Machine) reconcile(to peerscore.PeerID, l *link, f *frame) {
	if !l.request.take(m.now, requestsAtOnce, requestsPerSecond) {
		return
	}
	theirs := make(map[shortID]uint64, len(f.entries))
	own := m.ownEntry()
	answer := m.to(to)
	more := false
	for _, e := range f.entries {
		theirs[e.id] = e.seq
		s := m.view.short[e.id]
		switch {
		case e.id == own.id || !m.timely(e.seq):
		case s == nil || s.Record.Seq < e.seq:
			if len(answer.wanted) < maxRecords {
				answer.wanted = append(answer.wanted, e.id)
			} else {
				more = true
			}
		case s.State == Dead && s.Record.Seq == e.seq:
			answer.accuse = append(answer.accuse, s.accusers...)
		}
	}
	pushed := 0
	push := func(e entry, sealed []byte) {
		seq, ok := theirs[e.id]
		switch {
		case f.mask&(1<<e.id.bucket()) == 0 || ok && seq >= e.seq:
		case pushed+len(sealed) > maxPushed || len(answer.records) >= maxRecords:
			more = true
		default:
			answer.records = append(answer.records, sealed)
			pushed += len(sealed)
		}
	}
	push(own, m.own.Sealed)
	for i, first := 0, m.first(); i < len(m.view.list); i++ {
		if s := m.view.list[(first+i)%len(m.view.list)]; s.listed() {
			push(entry{s.short, s.Record.Seq}, s.Record.Sealed)
		}
	}
	if more {
		m.synAt = m.now.Add(m.about(hurry))
	}
}

// first draws where to begin in the view, so that whatever does not fit a frame
// is not always the same.
func (m *Machine) first() int {
	if len(m.view.list) == 0 {
		return 0
	}
	return m.rng.IntN(len(m.view.list))
}

// serve sends the records that were asked for (after ack2).
func (m *Machine) serve(to peerscore.PeerID, l *link, wanted []shortID) {
	if len(wanted) == 0 || !l.request.take(m.now, requestsAtOnce, requestsPerSecond) {
		return
	}
	f := m.to(to)
	pushed := 0
	for _, id := range wanted {
		sealed := m.own.Sealed
		if id != shortOf(m.self) {
			s := m.view.short[id]
			if s == nil {
				continue
			}
			sealed = s.Record.Sealed
		}
		if pushed += len(sealed); pushed > maxPushed {
			return
		}
		f.records = append(f.records, sealed)
	}
}

// expire drops members of whom nothing new came for long: their neighbours,
// who would have accused them, may be gone as well. Whose record would still be taken from
// anybody stays among the dead until it is not: else it could be replayed.
func (m *Machine) expire(out []Action) []Action {
	for _, s := range slices.Clone(m.view.list) {
		m.view.unlist(s, !m.timely(s.Record.Seq))
		if s.Link || m.now.Sub(s.fresh) < m.config.ExpireAfter {
			continue
		}
		if s.State != Dead {
			if s.State == Suspect {
				m.view.suspects--
			}
			s.State, s.Since = Dead, m.now
			m.view.sum(s)
			m.counts.Died++
			out = append(out, Changed{s.Record.Peer, Dead})
		}
		if m.stale(s.Record.Seq) {
			m.view.remove(s)
		}
	}
	return out
}

// timely says whether a record with the sequence number is taken from others than its peer.
// Records are made anew every RefreshEvery, so that one of ExpireAfter is of nobody who lives,
// unless clocks differ by the rest; and one so far ahead would be news for as long again.
func (m *Machine) timely(seq uint64) bool { return !m.stale(seq) && !m.ahead(seq) }

// stale and ahead compare sequence numbers, which are unix nanoseconds, with our clock.
func (m *Machine) stale(seq uint64) bool {
	oldest := m.now.Add(-m.config.ExpireAfter).UnixNano()
	return oldest > 0 && seq < uint64(oldest)
}

func (m *Machine) ahead(seq uint64) bool {
	return seq > uint64(max(0, m.now.Add(m.config.ExpireAfter).UnixNano()))
}
