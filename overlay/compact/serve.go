package compact

import (
	"errors"
	"fmt"
	"slices"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// onAsk answers with what is at hand, at once, and promises the rest if it is still to
// come: whoever has a header first is asked first, often before it has the body.
func (m *Machine) onAsk(j *job, t *mate, f *Ask) error {
	if n := len(f.Places); n == 0 || int(f.Places[n-1]) >= j.count() {
		return fmt.Errorf("%w: place beyond block %s", Garbage, j.id)
	}
	t.waiting = nil
	err := m.answer(j, t, f)
	if errors.Is(err, Greedy) {
		return err
	}
	return nil
}

func (m *Machine) answer(j *job, t *mate, f *Ask) error {
	fill := &Fill{Block: j.id, ID: f.ID, Proved: j.txs != nil}
	var rest []uint32
	size := 0
	for _, i := range f.Places {
		tx := j.tx(i)
		switch {
		case tx == nil:
			rest = append(rest, i)
		case size+tx.Size() <= MaxFill && len(fill.Txs) < MaxPlaces:
			fill.Places, fill.Txs = append(fill.Places, i), append(fill.Txs, tx.Bytes())
			size += tx.Size()
		}
	}
	if t.served += size; t.served > m.cfg.Served*j.bytes() {
		return fmt.Errorf("%w: %d bytes of %d of block %s", Greedy, t.served, j.bytes(), j.id)
	}
	if len(rest) > 0 && !j.over {
		fill.More = true
		t.waiting = &Ask{Block: j.id, ID: f.ID, Places: rest}
	}
	m.send(t.link, fill)
	return nil
}

// cold reports whether a producer's neighbours lack so much that chunks are cheaper than
// a Fill for each: half of the mesh links have to, for one new link knows nothing.
func (m *Machine) cold(j *job) bool {
	told := toldBy(m.known, m.mesh(), j.txs)
	lack, links := 0, 0
	for _, l := range m.links {
		if !l.Mesh {
			continue
		}
		links++
		if _, size := told.lacking(m.known, l.ID, 0, false); j.tooMuch(size) {
			lack++
		}
	}
	return links > 0 && 2*lack >= links
}

// fillLinks sends each mesh link, behind the header, what it is not known to have. A link
// that lacks too much is left to collect chunks, and one that sent us the header has its
// own sources.
func (m *Machine) fillLinks(j *job) {
	mesh := m.mesh()
	if len(mesh) == 0 || j.count() == 0 {
		return
	}
	txs := j.atHand()
	told := toldBy(m.known, mesh, txs)
	for _, l := range m.links {
		if !l.Mesh || j.mate(l).header {
			continue
		}
		places, size := told.lacking(m.known, l.ID, m.rng.Float64(), true)
		if j.tooMuch(size) {
			continue
		}
		places = within(places, txs, l.Window)
		if len(places) == 0 {
			continue
		}
		slices.Sort(places)
		fill := &Fill{Block: j.id, Places: places, Proved: j.txs != nil}
		for _, i := range places {
			fill.Txs = append(fill.Txs, txs[i].Bytes())
			j.mate(l).served += txs[i].Size()
		}
		m.send(l, fill)
	}
}

// mesh lists the links of the mesh, ascending.
func (m *Machine) mesh() []peerscore.PeerID {
	var ids []peerscore.PeerID
	for _, l := range m.links {
		if l.Mesh {
			ids = append(ids, l.ID)
		}
	}
	return ids
}
