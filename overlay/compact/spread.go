package compact

import (
	"fmt"
	"slices"
	"time"
)

// offer gives a link that collects chunks what is ours to spread, and tells it the rest.
func (m *Machine) offer(j *job, t *mate) {
	switch {
	case j.own && j.coded != nil && !j.seeded:
		// Our own judgement was that few lack it. If several do, each gets a part.
		if j.seedAt.IsZero() {
			j.seedAt = m.now.Add(m.cfg.HaveEvery)
		}
		return
	case j.txs != nil:
		m.tellWhole(j, t)
		return
	}
	for i := range j.onward.each {
		m.push(j, t, i)
	}
	if !j.have.Without(t.told).Without(t.has).IsZero() && j.haveAt.IsZero() {
		j.haveAt = m.now.Add(m.cfg.HaveEvery)
	}
}

// seed gives each chunk to one link, which is to spread it: our uplink carries the block
// about once, and the uplinks of all neighbours the rest.
func (m *Machine) seed(j *job, links []*link) {
	j.seeded = true
	j.seedAt = m.now.Add(m.cfg.SeedQuiet)
	links = slices.Clone(links)
	links = slices.DeleteFunc(links, func(l *link) bool { t := j.mate(l); return t.whole || t.barred })
	links = trusted(links)
	if len(links) == 0 {
		return
	}
	m.rng.Shuffle(len(links), func(a, b int) { links[a], links[b] = links[b], links[a] })
	total := j.layout.Total()
	if len(links)*j.layout.Parity < total {
		total = j.layout.Data // too few for parity to be of use
	}
	for k, l := range links {
		var coming Bitmap
		for i := k; i < total; i += len(links) {
			coming.Set(i)
		}
		if !coming.IsZero() {
			m.send(l, &Have{Block: j.id, Chunks: coming, Coming: true})
		}
	}
	for i := range total {
		m.sendChunk(j, j.mate(links[i%len(links)]), Chunk{Index: i, Pushed: true, Onward: true})
	}
}

func (m *Machine) seedIfDue(j *job) {
	if !passed(j.seedAt, m.now) {
		return
	}
	j.seedAt = time.Time{}
	if !j.seeded {
		m.seed(j, slices.DeleteFunc(slices.Clone(m.links), func(l *link) bool { t := j.mates[l.ID]; return t == nil || !t.seeking }))
		return
	}
	for _, l := range m.links {
		if t := j.mates[l.ID]; t != nil && t.seeking && !t.barred {
			m.tellWhole(j, t)
		}
	}
}

// push gives a link a chunk that is ours to spread, if it lacks it. What is given away so
// is bounded by the size of the block.
func (m *Machine) push(j *job, t *mate, i int) {
	if t.barred || t.has.Has(i) || j.spread+j.layout.Chunk > j.layout.Size+MaxChunk {
		return
	}
	j.spread += j.layout.Chunk
	var coming Bitmap
	coming.Set(i)
	m.send(t.link, &Have{Block: j.id, Chunks: coming, Coming: true, Seeking: j.seeking})
	t.toldSeeking = t.toldSeeking || j.seeking
	m.sendChunk(j, t, Chunk{Index: i, Pushed: true})
}

// sendChunk completes f and sends it, if we have the chunk and the link was not sent it.
func (m *Machine) sendChunk(j *job, t *mate, f Chunk) {
	i := f.Index
	p, ok := m.pieceOf(j, i)
	if !ok || t.sent.Has(i) {
		return
	}
	t.sent.Set(i)
	t.has.Set(i)
	t.told.Set(i)
	f.Block, f.Data, f.Proof = j.id, p.data, p.proof
	m.send(t.link, &f)
}

// pieceOf is chunk i if we have it, or can make it.
func (m *Machine) pieceOf(j *job, i int) (piece, bool) {
	switch {
	case j.coded != nil:
		return j.coded.piece(i), true
	case j.have.Has(i):
		return j.pieces[i], true
	case j.txs == nil || !j.chunked || j.broken:
		return piece{}, false
	}
	coded, err := Encode(j.layout, j.txs)
	switch {
	case err != nil: // the header signs another size: the body is invalid, as others say
		j.broken = true
	case coded.Root() != j.header.ChunkRoot:
		j.broken = true
		m.act(Accuse{j.checked, fmt.Errorf("%w: block %s", BadCoding, j.id)})
	default:
		j.coded, j.pieces = coded, nil
		return coded.piece(i), true
	}
	return piece{}, false
}

// onWant sends the chunks wanted that we have. Each goes out once on a link: a second
// wish for it crossed with it.
func (m *Machine) onWant(j *job, t *mate, f *Want) error {
	if !f.Chunks.Without(all(j.layout.Total())).IsZero() {
		return fmt.Errorf("%w: chunks that block %s does not have", Garbage, j.id)
	}
	for i := range f.Chunks.each {
		m.sendChunk(j, t, Chunk{Index: i})
	}
	return nil
}

// pushAll spreads a chunk that only we were given, in an order that differs from node to
// node, so that no link is always the last.
func (m *Machine) pushAll(j *job, i int) {
	for _, k := range m.rng.Perm(len(m.links)) {
		if t := j.mates[m.links[k].ID]; t != nil && t.seeking && !t.whole {
			m.push(j, t, i)
		}
	}
}
