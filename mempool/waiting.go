package mempool

import "github.com/grapevine-p2p/grapevine/wire"

// Source says on whose account a transaction takes a place among those that wait:
// the peer that brought it. What a peer sends costs others no such place as long as
// they take no more than it.
type Source string

// Own is the source of what this node answers for. It makes room for nothing
// that waits, and leaves for what can be confirmed after all others.
const Own Source = ""

// waiting keeps the places of those that wait, by source.
type waiting struct {
	before func(a, b place) bool // constant: who leaves first, of one source

	sources slab[source]
	byName  map[Source]uint32 // sources
	at      []uint32          // by entry, for the rankings of all sources
	bytes   int
}

// source is who brought some of what is in the pool.
type source struct {
	name   Source
	brings int     // how many in the pool, waiting or not
	ranks  ranking // of these, those that wait
	bytes  int     // of those that wait
}

func newWaiting(before func(a, b place) bool) waiting {
	return waiting{before: before, byName: make(map[Source]uint32)}
}

func (w *waiting) name(n uint32) Source { return w.sources.at(n).name }

// share returns the number of a source that brings one more.
func (w *waiting) share(name Source) uint32 {
	n, known := w.byName[name]
	if !known {
		n = w.sources.take()
		w.byName[name] = n
		*w.sources.at(n) = source{name: name, ranks: ranking{before: w.before, at: &w.at}}
	}
	w.sources.at(n).brings++
	return n
}

// unshare forgets a source that brings nothing any more.
func (w *waiting) unshare(n uint32) {
	s := w.sources.at(n)
	if s.brings--; s.brings == 0 {
		delete(w.byName, s.name)
		w.sources.give(n)
	}
}

// put has the entry n wait, or puts its place right.
func (w *waiting) put(n uint32, e *entry) {
	s := w.sources.at(e.source)
	if _, waits := s.ranks.get(n); !waits {
		s.bytes += int(e.size)
		w.bytes += int(e.size)
	}
	s.ranks.set(place{rank: rankOf(e.floor), entry: n, owner: n})
}

// remove has the entry n not wait.
func (w *waiting) remove(n uint32, e *entry) {
	s := w.sources.at(e.source)
	if _, waits := s.ranks.get(n); waits {
		s.bytes -= int(e.size)
		w.bytes -= int(e.size)
		s.ranks.remove(n)
	}
}

// most returns who takes most of what is short, bytes or places, of those who have
// any; Own last of all. Of equals it is the one that is preferred, so that nobody
// loses a place to who has as many.
func (w *waiting) most(bytes bool, preferred uint32) (n uint32, ok bool) {
	takes := func(n uint32) int {
		s := w.sources.at(n)
		switch {
		case s.name == Own:
			return 0
		case bytes:
			return s.bytes
		default:
			return s.ranks.len()
		}
	}
	for m := range w.sources.used {
		if w.sources.at(m).ranks.len() == 0 {
			continue
		}
		switch a, b := takes(m), takes(n); {
		case !ok, a > b, a == b && m == preferred:
			n, ok = m, true
		case a == b && n != preferred && w.name(m) < w.name(n):
			n = m
		}
	}
	return n, ok
}

// Adopt makes the node answer for a transaction, whoever brought it.
func (p *Pool) Adopt(id wire.TxID) {
	n, ok := p.byID.find(id)
	if !ok {
		return
	}
	e := p.entries.at(n)
	_, waits := p.waits.sources.at(e.source).ranks.get(n)
	p.waits.remove(n, e)
	p.waits.unshare(e.source)
	e.source = p.waits.share(Own)
	if waits {
		p.waits.put(n, e)
	}
}
