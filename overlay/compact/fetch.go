package compact

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// ask is a request for transactions that was sent.
type ask struct {
	to       *link
	id       uint32
	places   []uint32 // that have not come yet
	sent     time.Time
	due      time.Time
	promised bool // the rest comes when the peer has it
	empty    bool // answered with less by who said to have it all
	full     bool // a frame of the answer was as large as may be
	late     bool
}

// live reports whether its places are still counted upon.
func (a *ask) live() bool { return !a.late && len(a.places) > 0 }

// askIfDue sends the first round, to the sender of the header.
func (m *Machine) askIfDue(j *job) {
	for _, a := range j.asks {
		if a.live() && passed(a.due, m.now) {
			a.late, j.calm = true, false
			if t := j.mate(a.to); a.promised || t.header || t.whole {
				a.to.late(1)
				t.late = true
				m.act(Missed{a.to.ID, j.id, Late})
			}
		}
	}
	if !passed(j.askAt, m.now) || j.over {
		return
	}
	j.askAt = time.Time{}
	if j.round == 0 && !j.seeking {
		m.askFirst(j)
		return
	}
	m.askAgain(j)
}

// askFirst asks the sender of the header, unless that was late of late. What would not come in one flight is shared
// among those who are likely to answer first: most nodes have most of it, near ones
// answer sooner than a second flight comes, and no uplink has to serve all who heard of
// the block from it.
func (m *Machine) askFirst(j *job) {
	j.round = 1
	missing := j.draft.Missing()
	parts := min(max(ceilDiv(j.missingBytes(), oneFlight), 1), m.cfg.Parallel, len(missing))
	if l := m.linkOf(j.sender); l != nil && parts == 1 && !j.mate(l).barred && l.rank() == 0 {
		m.sendAsk(j, l, missing)
		return
	}
	if can := m.askable(j); len(can) > 0 {
		m.share(j, can[:min(parts, len(can))], missing)
	}
}

// share asks each of the links for a part.
func (m *Machine) share(j *job, links []*link, places []uint32) {
	for k, l := range links {
		m.sendAsk(j, l, places[k*len(places)/len(links):(k+1)*len(places)/len(links)])
	}
}

// askAgain asks others, in parallel, for what nobody is about to send. What was promised
// is asked of others, too: a promise has no time.
func (m *Machine) askAgain(j *job) {
	if j.over || j.seeking || j.round == 0 || !j.askAt.IsZero() || j.calm {
		return
	}
	rest := j.unasked()
	if len(rest) == 0 {
		j.calm = true
		return
	}
	others := m.askable(j)
	fresh := func(l *link) bool { return !slices.ContainsFunc(j.asks, func(a *ask) bool { return a.to == l }) }
	spent := j.round >= m.cfg.Rounds
	switch {
	case (spent || len(others) == 0) && j.awaits():
		j.calm = true
		return // wait for those, however late: asking twice would not make them faster
	case spent && !slices.ContainsFunc(others, fresh): // answers that give little keep nobody else from being asked
		m.giveUp(j, Exhausted)
		return
	case len(others) == 0:
		// All had nothing: once more, when they have had the time to get it.
		j.round++
		for _, t := range j.mates {
			t.dry = false
		}
		j.askAt = m.now.Add(m.cfg.MinWait)
		return
	}
	j.round++
	m.share(j, others[:min(len(others), m.cfg.Parallel, len(rest))], rest)
}

// unasked lists what is missing and nobody is about to send.
func (j *job) unasked() []uint32 {
	rest := j.draft.Missing()
	for _, a := range j.asks {
		if a.live() && !a.promised {
			rest = slices.DeleteFunc(rest, func(i uint32) bool { _, ok := slices.BinarySearch(a.places, i); return ok })
		}
	}
	return rest
}

// awaits reports whether something that was asked for may still come, however late.
func (j *job) awaits() bool {
	return slices.ContainsFunc(j.asks, func(a *ask) bool { return len(a.places) > 0 })
}

// unheard is what a peer that has not shown the header may take to get it, which it
// needs before it answers: about a hop.
const unheard = 60 * time.Millisecond

// askable lists who may have what is missing, the soonest answer first, and who was late of
// late last. Who was asked and has not answered, or had nothing, is left out.
func (m *Machine) askable(j *job) []*link {
	soon := func(l *link) time.Duration {
		if t := j.mates[l.ID]; t != nil && (t.whole || t.header) {
			return l.rtt.mean()
		}
		return l.rtt.mean() + unheard
	}
	var can []*link
	for _, l := range m.links {
		t := j.mates[l.ID]
		if t != nil && (t.barred || t.dry) {
			continue
		}
		if !slices.ContainsFunc(j.asks, func(a *ask) bool { return a.to == l && len(a.places) > 0 }) {
			can = append(can, l)
		}
	}
	slices.SortStableFunc(can, func(a, b *link) int { return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(soon(a), soon(b))) })
	return can
}

func (m *Machine) sendAsk(j *job, l *link, places []uint32) {
	if len(places) == 0 {
		return
	}
	m.askID++
	j.asked = m.now
	j.calm = false
	size := j.missingBytes() * len(places) / max(j.draft.Open(), 1)
	a := &ask{to: l, id: m.askID, places: slices.Clone(places), sent: m.now, due: m.now.Add(m.wait(l, size))}
	j.asks = append(j.asks, a)
	m.send(l, &Ask{Block: j.id, ID: a.id, Places: slices.Clone(places)})
}

// wait is how long so many bytes may take on a link.
func (m *Machine) wait(l *link, size int) time.Duration {
	return max(m.cfg.MinWait, l.rtt.patience()) + time.Duration(size)*time.Second/time.Duration(m.cfg.Rate)
}

// oneFlight is what a connection may send before its first acknowledgement: an answer
// within it measures the round trip.
const oneFlight = 16 << 10

// onFill takes transactions: the one Fill that a link may send unasked, or an answer.
func (m *Machine) onFill(j *job, t *mate, f *Fill) error {
	if j.draft == nil || j.over {
		m.paid(j, t, f)
		return nil // what crossed with our being done
	}
	if f.ID == 0 {
		if t.filled {
			return fmt.Errorf("%w: a second fill for block %s", Unasked, j.id)
		}
		t.filled = true
		err := m.accept(j, t, f, &j.how.Filled)
		if err == nil && t.link.ID == j.sender && !j.askAt.IsZero() && !j.over {
			j.askAt = m.now
			m.askIfDue(j)
		}
		return err
	}
	k := slices.IndexFunc(j.asks, func(a *ask) bool { return a.id == f.ID && a.to == t.link })
	switch {
	case k < 0 && f.ID > m.askID:
		return fmt.Errorf("%w: answer %d about block %s", Unasked, f.ID, j.id)
	case k < 0:
		return nil // to what was asked before the block was opened again
	}
	a := j.asks[k]
	if len(a.places)+len(f.Places) == 0 {
		return nil // it was over: what is missing and who may be asked is as before
	}
	for _, i := range f.Places {
		at, ok := slices.BinarySearch(a.places, i)
		if !ok {
			return fmt.Errorf("%w: place %d of block %s", Unasked, i, j.id)
		}
		a.places = slices.Delete(a.places, at, at+1)
	}
	// A promise that is said again, or kept in part, leaves nobody else to ask.
	calm := j.calm && f.More && a.promised && len(a.places) > 0
	if !a.late && len(f.Places) > 0 {
		t.link.prompt()
	}
	if !a.promised && f.Size() <= oneFlight {
		t.link.rtt.sample(m.now.Sub(a.sent))
	}
	a.full = a.full || f.Size() > MaxFill-wire.MaxTx
	switch {
	case f.More:
		a.late, a.due = false, m.now.Add(m.cfg.GiveUp)
	case len(a.places) > 0:
		m.shorted(j, t, a, f)
		a.places = nil
	}
	a.promised = f.More
	err := m.accept(j, t, f, &j.how.Asked)
	j.calm = calm
	return err
}

// shorted takes note of an answer that ends an ask and leaves places of it open. One of which a frame
// was as large as may be says nothing: what found no room in it is not promised. Who has less than it was asked for, or gives less, is asked for no
// more over this block, and later over the next ones, whatever it gave: a round of asking is
// spent. Who said to have all of it owes the rest. Who had not, and takes a promise back, waited for
// the body as we do: others were asked as soon as it promised.
func (m *Machine) shorted(j *job, t *mate, a *ask, f *Fill) {
	if a.full {
		return
	}
	t.dry = true
	if a.late || a.promised && len(f.Places) == 0 && !t.whole {
		return
	}
	t.link.late(1)
	t.late = true
	if t.whole {
		a.empty = true
		m.act(Missed{t.link.ID, j.id, Empty})
	}
}

// accept puts the transactions of one frame into the draft, and counts those that were
// missing.
func (m *Machine) accept(j *job, t *mate, f *Fill, count *int) error {
	before, had := j.draft.Open(), j.draft.Bytes()
	for k, i := range f.Places {
		if int(i) < j.draft.Len() && !j.draft.Lacks(i) {
			continue // known from elsewhere: not worth decoding
		}
		// A transaction that stays in the pool must not keep the frame in memory.
		tx, err := wire.DecodeTransaction(slices.Clone(f.Txs[k]))
		if err != nil {
			return fmt.Errorf("%w: %w", Garbage, err)
		}
		prover := t.link.ID
		if !f.Proved {
			prover = ""
		}
		if err := j.draft.Add(i, tx, prover); err != nil {
			return err
		}
		*count++
	}
	if j.draft.Open() < before {
		m.progress(j, j.draft.Bytes()-had)
		j.how.From = append(j.how.From, t.link.ID)
		m.tryClose(j)
	}
	return nil
}
