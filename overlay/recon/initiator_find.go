package recon

import (
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// symbols takes an answer, and decides how to go on.
func (i *Initiator) symbols(now time.Time, f Symbols) {
	have := i.peeler.Len()
	to := have + len(f.Symbols)
	if f.From != have || i.asked == 0 && to > Live || i.asked != 0 && (to != i.asked || f.Size != i.theirs) {
		i.close(BadRange)
		return
	}
	ours := i.frozen[have:to]
	for j, s := range f.Symbols {
		i.counts = append(i.counts, s.Count-ours[j].Count)
	}
	done, err := i.peeler.Add(f.Symbols, ours)
	i.theirs = f.Size
	switch {
	case err != nil:
		i.close(err)
	case done:
		i.diff = i.peeler.Difference()
		i.linger(now)
	default:
		i.choose(now)
	}
}

// choose goes on with symbols or with plain ids, whichever costs less. It counts
// what tells the ids, for symbols do not.
func (i *Initiator) choose(now time.Time) {
	have := i.peeler.Len()
	d := Estimate(i.counts, i.theirs-i.size)
	i.guess = d
	if i.asked == 0 {
		i.limit = min(MaxSymbols, maxGuess*needed(d)+guessMargin)
	}
	next := min(nextTotal(have, d), have+MaxChunk)
	theirs := (d + i.theirs - i.size) / 2
	bySymbols := (max(next, needed(d))-have)*SymbolSize + theirs*(8+len(wire.TxID{}))
	switch {
	case len(i.journal) > maxMoved: // the set is another by now
		i.later(now)
	case d > 2*MaxSmall && have < i.limit && !i.hold(now): // estimates are often half as much too high
		i.later(now)
	case needed(d) > MaxSymbols || have == MaxSymbols || i.theirs*len(wire.TxID{}) < bySymbols:
		i.all(now)
	case have >= i.limit:
		i.close(Undecodable)
	default:
		i.asked = min(next, i.limit)
		i.more(now)
	}
}

// more asks for symbols up to i.asked, once we have ours.
func (i *Initiator) more(now time.Time) {
	switch {
	case i.asked <= Live || i.extended:
		i.send(More{i.asked})
		i.await(now, asksMore)
	case !i.hold(now):
		i.later(now)
	default:
		i.phase = looksAround
		i.extend()
	}
}

func (i *Initiator) all(now time.Time) {
	if i.theirs > Live && !i.hold(now) {
		i.later(now)
		return
	}
	i.total, i.early = -1, 0
	i.send(All{})
	i.await(now, asksAll)
}

// later leaves it at what is known: another exchange has the large place. This
// link differs too much for a small one, so that the next is when the place is free.
func (i *Initiator) later(now time.Time) {
	i.waits, i.hurry = true, true
	i.tell(now, nil, nil)
}

// listing takes a part of the peer's ids.
func (i *Initiator) listing(now time.Time, f Listing) {
	if i.total < 0 {
		i.total = f.Total
	}
	have := len(i.listed)
	want := min(i.total-have, MaxIDs)
	moved := f.Total - i.theirs // since its symbols
	if f.Total != i.total || max(moved, -moved) > maxJournal || f.From != have || len(f.IDs) != want || !i.rising(f.IDs) {
		i.close(BadRange)
		return
	}
	i.listed = append(i.listed, f.IDs...)
	i.tellListed(f.IDs)
	have = len(i.listed)
	i.await(now, asksAll)
	switch {
	case have == i.total:
		i.phase = looksAround
		i.start(&Scan{key: i.key, listed: i.listed, shared: make([]bool, have)})
	case have%(listWindow*MaxIDs) == 0:
		i.send(All{have})
	}
}

// tellListed reports what was listed, from where Learned will begin: both together are no more
// than one exchange tells.
func (i *Initiator) tellListed(ids []wire.TxID) {
	if i.total > maxTold {
		ids = ids[after(ids, i.learnedTo, compareIDs):]
	}
	if ids = ids[:min(len(ids), maxTold-i.early)]; len(ids) > 0 {
		i.early += len(ids)
		i.actions = append(i.actions, Listed{ids})
	}
}

// rising reports whether the ids follow those listed, each above the last.
func (i *Initiator) rising(ids []wire.TxID) bool {
	last := i.listed
	for j := range ids {
		if len(last) > 0 && compareIDs(last[len(last)-1], ids[j]) >= 0 {
			return false
		}
		last = ids[:j+1]
	}
	return true
}
