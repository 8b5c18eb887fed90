package member

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// Event is something that happened: [Connected], [Gone], [Received], [Moved] or
// [Tick].
type Event interface{ event() }

// Connected: there is a link to Peer now.
type Connected struct{ Peer peerscore.PeerID }

// Gone: the link to Peer is no more. Lost says that neither side closed it.
type Gone struct {
	Peer peerscore.PeerID
	Lost bool
}

// Received: Peer sent us a frame. The machine keeps nothing of its bytes.
type Received struct {
	From  peerscore.PeerID
	Frame []byte
}

// Moved: our record has to say something else now. All hear of it that live.
type Moved struct{}

// Tick: time has passed.
type Tick struct{}

func (Connected) event() {}
func (Gone) event()      {}
func (Received) event()  {}
func (Moved) event()     {}
func (Tick) event()      {}

// Action is what to do or to know: [Send], [Changed], [Learned] or [Fault].
type Action interface{ action() }

// Send: send the frame over the link to To. It may be lost.
type Send struct {
	To    peerscore.PeerID
	Frame []byte
}

// Changed: a member is in another state now.
type Changed struct {
	Peer  peerscore.PeerID
	State State
}

// Learned: there is a new record, which From passed on to us.
type Learned struct {
	Record Record
	From   peerscore.PeerID
}

// Fault: From sent what no honest node could have sent.
type Fault struct {
	From peerscore.PeerID
	Why  error
}

func (Send) action()    {}
func (Changed) action() {}
func (Learned) action() {}
func (Fault) action()   {}

// BadSignature is a record, acknowledgement or accusation whose signature does
// not verify. Whoever passes one on has to have checked it.
const BadSignature Malformed = "signature does not verify"

// Machine is the membership of one node. It is not safe for concurrent use.
type Machine struct {
	config  Config // constant, as all to rng
	network [32]byte
	self    peerscore.PeerID
	records Records
	signer  Signer
	rng     *rand.Rand

	now    time.Time // of the last event
	own    Record
	sealed time.Time // when own was
	broken error     // why own could not be sealed; nil if it could
	view   view
	links  map[peerscore.PeerID]*link
	order  []peerscore.PeerID              // of links, sorted
	spent  map[peerscore.PeerID]allowances // of links that are gone and may return
	swept  time.Time                       // when spent was looked through
	probes []*probe                        // under way, oldest first
	heard  time.Time                       // last frame of anybody
	health int                             // Lifeguard's: 0 is well, up to maxHealth
	left   bool                            // we said farewell
	counts Counts
	synAt  time.Time
	out    []*outbox // frames of this step, in the order of their making
}

// link is what is known of one connection.
type link struct {
	due        time.Time // when it is probed, should it be quiet until then
	unanswered time.Time // when we first asked since we heard; zero if we did not
	allowances
}

// allowances are what a link may cost us.
type allowances struct{ records, accuse, defence, hearsay, request allowance }

// maxLinks bounds the links that a Machine takes; the node's own bound is lower.
const maxLinks = 4096

// maxHealth bounds how much longer a node that is not well waits: timeouts grow
// by a half with each step. Lifeguard: 8 steps of a whole; ours are a node's of
// which others expect answers in seconds.
const maxHealth = 4

// stall is the time without a tick that says that it was us who slept.
const stall = time.Second

// New returns the Machine of the node with identity self in the network. The
// rank key of the view comes from rng.
func New(config Config, network [32]byte, self peerscore.PeerID, records Records, signer Signer, rng *rand.Rand) (*Machine, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("member: new machine: %w", err)
	}
	own, err := records.Seal(1)
	if err != nil {
		return nil, fmt.Errorf("member: new machine: seal own record: %w", err)
	}
	return &Machine{
		config: config, network: network, self: self, records: records, signer: signer, rng: rng,
		own: own, view: newView(config, rng), links: make(map[peerscore.PeerID]*link), spent: make(map[peerscore.PeerID]allowances),
	}, nil
}

// Step feeds one event to the machine and appends to out what to do about it.
func (m *Machine) Step(now time.Time, ev Event, out []Action) []Action {
	if m.left {
		return out
	}
	if m.now.IsZero() {
		m.start(now)
	}
	now = later(now, m.now)
	if slept := now.Sub(m.now); slept > stall {
		m.postpone(slept)
	}
	m.now = now
	switch ev := ev.(type) {
	case Connected:
		m.connected(ev.Peer)
	case Gone:
		out = m.gone(ev, out)
	case Received:
		out = m.received(ev, out)
	case Moved:
		m.renew(m.own.Seq)
	case Tick:
		out = m.tick(out)
	}
	return m.flush(out)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func (m *Machine) start(now time.Time) {
	m.now, m.sealed, m.heard = now, now, now
	m.synAt = now.Add(m.spread(m.config.SynEvery))
}

// spread draws a time up to d, so that nodes do not act in step.
func (m *Machine) spread(d time.Duration) time.Duration { return time.Duration(m.rng.Int64N(int64(d))) }

// about draws a time within a tenth of d.
func (m *Machine) about(d time.Duration) time.Duration { return d - d/10 + m.spread(d/5+1) }

// postpone moves what was due while we slept: we did not listen, and what we did
// not hear then means nothing.
func (m *Machine) postpone(slept time.Duration) {
	for _, l := range m.links {
		l.due = l.due.Add(slept)
	}
	for _, p := range m.probes {
		p.due = p.due.Add(slept)
	}
	for _, s := range m.view.list {
		if s.State == Suspect {
			s.deadline = s.deadline.Add(slept)
		}
	}
	m.unwell()
}

func (m *Machine) unwell() { m.health = min(maxHealth, m.health+1) }

// patience is d, longer while we are not well.
func (m *Machine) patience(d time.Duration) time.Duration { return d + d*time.Duration(m.health)/2 }

func (m *Machine) connected(p peerscore.PeerID) {
	if p == m.self || m.links[p] != nil || len(m.links) >= maxLinks {
		return
	}
	m.links[p] = &link{due: m.now.Add(m.spread(m.config.QuietMost)), allowances: m.spent[p]}
	delete(m.spent, p)
	i, _ := slices.BinarySearch(m.order, p)
	m.order = slices.Insert(m.order, i, p)
	m.view.pin(p, true)
	f := m.to(p)
	f.records = append(f.records, m.own.Sealed)
	f.syn = m.view.sums(m.ownEntry())
}

func (m *Machine) gone(ev Gone, out []Action) []Action {
	l := m.links[ev.Peer]
	if l == nil {
		return out
	}
	delete(m.links, ev.Peer)
	m.keep(ev.Peer, l.allowances)
	m.order = slices.DeleteFunc(m.order, func(p peerscore.PeerID) bool { return p == ev.Peer })
	m.view.pin(ev.Peer, false)
	if s := m.view.get(ev.Peer); s != nil && s.State == Alive {
		s.accusers = nil // held while the link spoke against them
	}
	if ev.Lost && m.view.state(ev.Peer) == Alive {
		m.probe(ev.Peer) // through others
	}
	return out
}

func (m *Machine) tick(out []Action) []Action {
	m.probeQuiet()
	out = m.driveProbes(out)
	out = m.driveSuspects(out)
	if !m.now.Before(m.synAt) && len(m.order) > 0 {
		m.synAt = m.now.Add(m.about(m.config.SynEvery))
		m.to(m.order[m.rng.IntN(len(m.order))]).syn = m.view.sums(m.ownEntry())
		out = m.expire(out)
	}
	if age := m.now.Sub(m.sealed); age >= m.config.RefreshEvery || age >= m.config.RefuteEvery && !m.timely(m.own.Seq) {
		m.renew(m.own.Seq)
	}
	return out
}

// renew seals our record anew, as a version beyond seq, and tells of it.
func (m *Machine) renew(seq uint64) {
	if seq == math.MaxUint64 {
		return // nothing is newer, and after it comes 0
	}
	if m.ahead(seq) {
		seq = 0 // our clock was ahead, and nobody passes on what was sealed then
	}
	m.sealed = m.now // also when it fails: signing is not tried without pause
	r, err := m.records.Seal(seq + 1)
	if m.broken = err; err != nil {
		return
	}
	m.own = r
	for _, p := range m.some(m.config.Fanout, "") {
		f := m.to(p)
		f.records = append(f.records, r.Sealed)
	}
}

// Counts are totals since the machine was made.
type Counts struct {
	Probes    uint64 // begun
	Failed    uint64 // of them, without any answer
	Suspected uint64 // times that a member was suspected
	Cleared   uint64 // of them, times that it turned out to live
	Died      uint64 // times that a member was taken for dead
	Revived   uint64 // of them, times that it turned out to live
	Refuted   uint64 // accusations of ourselves that we answered with a new record
}

// Counts returns the totals so far.
func (m *Machine) Counts() Counts { return m.counts }

// Silence is for how long we have waited for a word of p since we first asked,
// over its link; 0 if it owes us none.
func (m *Machine) Silence(p peerscore.PeerID) time.Duration {
	l := m.links[p]
	if l == nil || l.unanswered.IsZero() {
		return 0
	}
	return m.now.Sub(l.unanswered)
}

// Broken is why our own record could not be renewed when last it was due, or
// nil. Until it can be, we cannot refute.
func (m *Machine) Broken() error { return m.broken }

// some draws up to n links other than but.
func (m *Machine) some(n int, but ...peerscore.PeerID) []peerscore.PeerID {
	pool := slices.DeleteFunc(slices.Clone(m.order), func(p peerscore.PeerID) bool { return slices.Contains(but, p) })
	n = min(n, len(pool))
	for i := range n {
		j := i + m.rng.IntN(len(pool)-i)
		pool[i], pool[j] = pool[j], pool[i]
	}
	return pool[:n]
}

func (m *Machine) ownEntry() entry { return entry{shortOf(m.self), m.own.Seq} }

// outbox is the frame for one link in this step.
type outbox struct {
	to    peerscore.PeerID
	frame frame
}

// to returns the frame that this step sends to p.
func (m *Machine) to(p peerscore.PeerID) *frame {
	for _, o := range m.out {
		if o.to == p {
			return &o.frame
		}
	}
	o := &outbox{to: p}
	m.out = append(m.out, o)
	return &o.frame
}

// flush turns the frames of this step into actions. What is beyond a frame's
// bounds is left out: all that is sent here is asked for or told again.
func (m *Machine) flush(out []Action) []Action {
	for _, o := range m.out {
		f := &o.frame
		f.acks, f.nacks, f.requests = cut(f.acks, maxRequests), cut(f.nacks, maxRequests), cut(f.requests, maxRequests)
		f.relayed, f.signed = cut(f.relayed, maxRequests), cut(f.signed, maxRequests)
		f.accuse, f.records = cut(f.accuse, maxAccusations), cut(f.records, maxRecords)
		if b := f.appendTo(nil); len(b) > 0 && m.links[o.to] != nil {
			out = append(out, Send{o.to, b})
		}
	}
	m.out = m.out[:0]
	return out
}

func cut[T any](s []T, n int) []T { return s[:min(n, len(s))] }

// allowance is a bucket of tokens for what a link may cost us.
type allowance struct {
	used float64
	at   time.Time
}

// What one link may cost at once and per second. Each is a signature checked or
// made, some 100 µs.
const (
	recordsAtOnce, recordsPerSecond   = 512, 20
	accuseAtOnce, accusePerSecond     = 64, 4
	requestsAtOnce, requestsPerSecond = 64, 16

	// Accusations of ourselves that their author tells us, and that we answer: a peer gets
	// no answer of ours some times an hour where a fifth of the packets is lost.
	defenceAtOnce, defencePerSecond = 8, 1. / 30
	// Those that it passes on: anybody can sign, and whoever has reason to is heard of by others.
	hearsayAtOnce, hearsayPerSecond = 8, 1. / 10

	// refilled is the time after which all of that is there again.
	refilled = defenceAtOnce * 30 * time.Second
)

// keep remembers what a link that is gone has used up, or opening another would fill it
// again. There are at most maxLinks of them; beyond, nobody's is remembered until some
// are full.
func (m *Machine) keep(p peerscore.PeerID, a allowances) {
	if m.now.Sub(m.swept) >= refilled {
		m.swept = m.now
		for q, b := range m.spent { // in whatever order: all that are full go
			if m.now.Sub(later(later(b.records.at, b.accuse.at), later(b.defence.at, b.request.at))) >= refilled {
				delete(m.spent, q)
			}
		}
	}
	if len(m.spent) < maxLinks {
		m.spent[p] = a
	}
}

func (a *allowance) take(now time.Time, most, perSecond float64) bool {
	a.used = max(0, a.used-perSecond*now.Sub(a.at).Seconds())
	a.at = now
	if a.used+1 > most {
		return false
	}
	a.used++
	return true
}
