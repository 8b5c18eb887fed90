package compact

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// seek begins to collect chunks, and tells everybody so.
func (m *Machine) seek(j *job) {
	j.seeking, j.sought = true, true
	j.stallAt = m.now.Add(m.cfg.Stall)
	j.room()
	for _, l := range m.links {
		if t := j.mate(l); !t.barred {
			m.tell(j, t, false)
		}
	}
	m.tryDecode(j)
}

// room makes the list of chunks; it stays nil for a block that never needs one.
func (j *job) room() {
	if j.pieces == nil {
		j.pieces = make([]piece, j.layout.Total())
	}
}

// tell sends what the link does not know of what we have. Without always it is only sent
// where it says anything new.
func (m *Machine) tell(j *job, t *mate, always bool) {
	fresh := j.have.Without(t.told).Without(t.has)
	if !always && fresh.IsZero() && (t.toldSeeking || !j.seeking) {
		return
	}
	t.told = t.told.With(fresh)
	t.toldSeeking = t.toldSeeking || j.seeking
	m.send(t.link, &Have{Block: j.id, Chunks: fresh, Seeking: j.seeking})
}

// tellWhole says that we have everything, to those who are still looking and to those who
// promised us something.
func (m *Machine) tellWhole(j *job, t *mate) {
	if t.toldWhole || t.whole || !(t.seeking || t.toldSeeking || t.owes) || !j.seedAt.IsZero() {
		return
	}
	t.toldWhole = true
	m.send(t.link, &Have{Block: j.id, Whole: true})
}

func (m *Machine) tellIfDue(j *job) {
	if !passed(j.haveAt, m.now) {
		return
	}
	j.haveAt = time.Time{}
	if j.over {
		return // all were told of the whole
	}
	for _, l := range m.links {
		if t := j.mates[l.ID]; t != nil && t.seeking && !t.whole && !t.barred {
			m.tell(j, t, false)
		}
	}
}

func (m *Machine) onHave(j *job, t *mate, f *Have) error {
	if !f.Chunks.Without(all(j.layout.Total())).IsZero() || (f.Seeking || !f.Chunks.IsZero()) && !j.chunked {
		return fmt.Errorf("%w: chunks that block %s does not have", Garbage, j.id)
	}
	t.has = t.has.With(f.Chunks)
	t.seeking = t.seeking || f.Seeking
	if f.Whole && !t.whole { // said again, it changes nothing
		t.whole, t.dry, j.calm = true, false, false
		t.has = all(j.layout.Total())
		t.waiting = nil
	}
	if f.Coming {
		news := f.Chunks.Without(t.coming) // said again, it is not counted upon again
		t.coming = t.coming.With(f.Chunks)
		if !j.over && !news.IsZero() {
			j.asked = m.now
			m.expect(j, t, news.Without(j.have).Without(t.got))
		}
	}
	if t.seeking && !t.whole {
		m.offer(j, t)
	}
	return nil
}

// expect counts upon chunks that a link said are on their way, unless others send them. To say so
// costs nothing, and whoever says so may hold back all of it: so it is believed for no more than
// would be asked for, and not of who was late of late.
func (m *Machine) expect(j *job, t *mate, coming Bitmap) {
	if t.link.rank() > 0 {
		return
	}
	for i := range coming.Without(j.outstanding(0)).each {
		if m.free(t) > 0 {
			t.asked.Set(i)
		}
	}
	t.due = m.soon(j, t)
}

// onChunk takes a chunk that was pushed, or that we asked for, and spreads it if only we were
// given it.
func (m *Machine) onChunk(j *job, t *mate, f *Chunk) error {
	switch {
	case !j.chunked, f.Index >= j.layout.Total(), len(f.Data) != j.layout.Chunk:
		return fmt.Errorf("%w: chunk %d of block %s", Garbage, f.Index, j.id)
	case t.got.Has(f.Index):
		m.act(Missed{t.link.ID, j.id, Again})
		return nil
	case !f.Pushed && !t.wanted.Has(f.Index) && !j.mayOwe(t.link):
		return fmt.Errorf("%w: chunk %d of block %s", Unasked, f.Index, j.id)
	}
	if t.asked.Has(f.Index) {
		t.link.prompt()
	}
	t.lateAt = time.Time{}
	t.got.Set(f.Index)
	t.has.Set(f.Index)
	t.asked.Clear(f.Index)
	t.due = m.soon(j, t)
	if j.over {
		m.tardily(j)
	}
	if j.over || j.broken || j.have.Has(f.Index) {
		j.how.Spare++
		return nil
	}
	if !proves(j.header.ChunkRoot, f.Data, f.Index, j.layout.Total(), f.Proof) {
		return fmt.Errorf("%w: %d of block %s", BadProof, f.Index, j.id)
	}
	j.room()
	j.pieces[f.Index] = piece{f.Data, f.Proof}
	j.have.Set(f.Index)
	j.how.Chunks++
	m.progress(j, len(f.Data))
	j.how.From = append(j.how.From, t.link.ID)
	if !j.stallAt.IsZero() {
		j.stallAt = m.now.Add(m.cfg.Stall)
	}
	if j.haveAt.IsZero() {
		j.haveAt = m.now.Add(m.cfg.HaveEvery)
	}
	if f.Onward {
		j.onward.Set(f.Index)
		m.pushAll(j, f.Index)
	}
	if !j.seeking && j.tooMuch(j.missingBytes()) {
		m.seek(j) // chunks come after all
	} else {
		m.tryDecode(j)
	}
	return nil
}

// tryDecode puts the body together once there are chunks enough.
func (m *Machine) tryDecode(j *job) {
	if j.over || !j.chunked || j.broken || j.have.Count() < j.layout.Data {
		return
	}
	chunks := make([][]byte, len(j.pieces))
	for i := range j.have.each {
		chunks[i] = j.pieces[i].data
	}
	txs, err := decode(j.layout, j.draft.Len(), chunks)
	if err == nil && wire.TxRoot(idsOf(txs)) != j.header.TxRoot {
		err = fmt.Errorf("%w: they give another tx_root", BadCoding)
	}
	if err != nil {
		// Every chunk proved, so that the producer signed what is no body. The
		// transactions that it signs, too, may exist all the same.
		j.broken, j.seeking, j.stallAt = true, false, time.Time{}
		if errors.Is(err, BadCoding) {
			m.act(Accuse{j.checked, fmt.Errorf("block %s: %w", j.id, err)})
		}
		j.askAt = m.now
		m.askIfDue(j)
		return
	}
	for _, liar := range j.draft.Liars(txs) {
		m.act(Blame{liar, j.id, fmt.Errorf("%w: in block %s", WrongTx, j.id)})
	}
	parts := make([]validation.Part, len(txs))
	for i, tx := range txs {
		parts[i] = validation.Part{Tx: tx}
		if known := j.draft.places[i].part.Checked; !known.IsZero() && known.ID() == tx.ID() {
			parts[i] = validation.Part{Checked: known} // spares a signature check
		}
	}
	for i := range j.have.each {
		j.pieces[i].data = chunks[i]
	}
	j.how.Way = Chunks
	m.built(j, parts)
}

func idsOf(txs []*wire.Transaction) []wire.TxID {
	ids := make([]wire.TxID, len(txs))
	for i, tx := range txs {
		ids[i] = tx.ID()
	}
	return ids
}

// outstanding are the chunks that links are to send that are of so high a rank at most.
func (j *job) outstanding(rank int) (b Bitmap) {
	for _, t := range j.mates {
		if t.link.rank() <= rank {
			b = b.With(t.asked)
		}
	}
	return b
}

// overdue stops counting upon chunks that did not come. Others are asked for other chunks
// in their place, early, since any will do; that it is a lapse is said later.
func (m *Machine) overdue(j *job) {
	for _, l := range m.links {
		t := j.mates[l.ID]
		if t == nil {
			continue
		}
		if !t.asked.IsZero() && passed(t.due, m.now) {
			if t.lateAt.IsZero() {
				t.lateAt = m.now.Add(m.wait(l, t.asked.Count()*j.layout.Chunk))
			}
			l.late(t.asked.Count())
			t.asked, t.slow, t.late = Bitmap{}, true, true
		}
		if passed(t.lateAt, m.now) {
			t.lateAt = time.Time{}
			m.act(Missed{l.ID, j.id, Late})
		}
	}
}

// soon is until when chunks under way on a link are counted upon. What was only said to come
// needs no round trip: the measured one stands for the pace of the line, within reason.
func (m *Machine) soon(j *job, t *mate) time.Time {
	size := t.asked.Count() * j.layout.Chunk // each that comes begins the wait anew
	rtt := t.link.rtt.mean()
	if t.asked.Without(t.wanted) == t.asked {
		rtt = min(rtt, guessRTT)
	}
	return m.now.Add(rtt + m.cfg.Hurry + time.Duration(size)*time.Second/time.Duration(m.cfg.ChunkRate))
}

// pull asks for as many chunks as are still needed, the rarest first, each of the link
// that has least to do for us already: so that all nodes ask different ones. Those that were late
// of late are asked for what the others are too busy for, and not relied on: what they are to
// send is asked of others as soon as these can give it.
func (m *Machine) pull(j *job) {
	if !j.seeking || j.over {
		return
	}
	wants := make(map[*mate]*Bitmap)
	for _, rank := range []int{0, 1} {
		waiting := j.outstanding(rank)
		need := j.layout.Data - j.have.Count() - waiting.Count()
		if need <= 0 {
			break
		}
		m.choose(j, rank, waiting, need, wants)
	}
	for _, l := range m.links {
		t := j.mates[l.ID]
		if t != nil && wants[t] != nil {
			t.due = m.soon(j, t)
			j.asked = m.now
			m.send(l, &Want{Block: j.id, Chunks: *wants[t]})
		}
	}
}

// choose decides which of so many chunks are wanted of which link of a rank.
func (m *Machine) choose(j *job, rank int, waiting Bitmap, need int, wants map[*mate]*Bitmap) {
	holders := make([][]*mate, j.layout.Total())
	some := false
	for _, l := range m.links {
		if t := j.mates[l.ID]; t != nil && !t.barred && l.rank() == rank && m.free(t) > 0 {
			for i := range t.has.Without(j.have).Without(waiting).Without(t.wanted).each {
				holders[i] = append(holders[i], t)
				some = true
			}
		}
	}
	if !some {
		return
	}
	doubtful := j.outstanding(1).Without(waiting)
	order := m.rng.Perm(len(holders))
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case doubtful.Has(a) == doubtful.Has(b):
			return cmp.Compare(len(holders[a]), len(holders[b]))
		case doubtful.Has(a):
			return 1
		}
		return -1
	})
	for _, i := range order {
		if t := m.idlest(holders[i]); t != nil && need > 0 {
			if wants[t] == nil {
				wants[t] = new(Bitmap)
			}
			wants[t].Set(i)
			t.asked.Set(i)
			t.wanted.Set(i)
			j.how.Wanted++
			need--
		}
	}
}

// free is how many more chunks a link may be asked for.
func (m *Machine) free(t *mate) int {
	limit := m.cfg.Pipeline
	switch {
	case t.slow && t.got.IsZero():
		limit = 0 // it says more than it does
	case t.slow:
		limit = 1
	case t.link.rank() > 0:
		limit = ceilDiv(limit, 2) // that much may come twice
	}
	return limit - t.asked.Count()
}

// idlest is the link with the fewest chunks under way to us, the nearest among equals.
func (m *Machine) idlest(holders []*mate) (best *mate) {
	for _, t := range holders {
		if m.free(t) <= 0 {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(t.asked.Count(), best.asked.Count()), cmp.Compare(t.link.rtt.mean(), best.link.rtt.mean())) < 0 {
			best = t
		}
	}
	return best
}
