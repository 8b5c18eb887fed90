package recon

import (
	"cmp"
	"fmt"
	"slices"
)

// workPerSymbol bounds what peeling costs: so many looks at symbols for each
// symbol received, walks over what was found before included. Honest symbols in
// steps of a sixteenth take 2 to 18.
const workPerSymbol = 32

// Difference is what two sets do not share, each list in rising order.
type Difference struct {
	Theirs []Short // in the other side's set only
	Ours   []Short // in ours only
}

// Len is how many short ids the two sets do not share.
func (d Difference) Len() int { return len(d.Theirs) + len(d.Ours) }

// Peeler finds the difference of two sets from their symbols, as they come in.
//
// No input makes it loop, panic, or keep more than a constant times the number of
// symbols given to it, and it looks at no more than workPerSymbol symbols for
// each, and those of one short id more.Once it has returned an error it returns the same for ever.
type Peeler struct {
	key   Key
	cells []Symbol // of the difference, without what was found
	found []finding
	queue []uint32 // cells that may hold a single short id
	work  int      // looks at cells so far
	err   error
}

// finding is a short id that was found, and the next cell that is to hold it.
type finding struct {
	short Short
	check uint64
	sign  int8
	walk  walk // at the last cell that held it
}

// NewPeeler has no symbols yet.
func NewPeeler(key Key) *Peeler { return &Peeler{key: key} }

// Len is how many symbols it was given.
func (p *Peeler) Len() int { return len(p.cells) }

// Add takes the symbols that follow those given before: theirs, and ours of the
// same places. Each call goes over all that was found so far: honest symbols that
// come in much smaller steps than a sixteenth may count as Overworked. It reports whether the whole difference is known now. An error
// is a Fault, or says that the caller gave lists of different lengths or
// too many symbols, which leaves the Peeler as it was.
func (p *Peeler) Add(theirs, ours []Symbol) (done bool, err error) {
	switch {
	case p.err != nil:
		return false, p.err
	case len(theirs) != len(ours) || len(theirs) > MaxSymbols-len(p.cells):
		return false, fmt.Errorf("recon: peel: %d symbols of theirs and %d of ours after %d", len(theirs), len(ours), len(p.cells))
	}
	for i := range theirs {
		p.queue = append(p.queue, uint32(len(p.cells)))
		p.cells = append(p.cells, theirs[i].minus(ours[i]))
	}
	done, p.err = p.peel()
	return done, p.err
}

func (p *Peeler) peel() (done bool, err error) {
	budget := workPerSymbol * len(p.cells)
	for i := range p.found {
		if p.work > budget {
			return false, Overworked
		}
		p.take(&p.found[i])
	}
	for len(p.queue) > 0 {
		last := len(p.queue) - 1
		cell := p.cells[p.queue[last]]
		p.queue = p.queue[:last]
		p.work++
		if p.work > budget {
			return false, Overworked
		}
		if cell.Count != 1 && cell.Count != 0xff {
			continue
		}
		short := Short(cell.Sum)
		check := p.key.check(short)
		if uint32(check) != cell.Check {
			continue
		}
		if len(p.found) == len(p.cells) {
			return false, Inconsistent // each finding empties a cell for good
		}
		p.found = append(p.found, finding{short: short, check: check, sign: int8(cell.Count), walk: newWalk(check)})
		f := &p.found[len(p.found)-1]
		p.empty(f, 0)
		p.take(f)
	}
	return p.finish()
}

// take takes f out of the cells from where its walk stands.
func (p *Peeler) take(f *finding) {
	end := uint32(len(p.cells))
	for {
		p.work++
		ahead := f.walk
		i := ahead.next(end)
		if i == none {
			return // the walk goes on from here when there are more cells
		}
		f.walk = ahead
		p.empty(f, i)
	}
}

func (p *Peeler) empty(f *finding, i uint32) {
	c := &p.cells[i]
	c.add(f.short, f.check, -f.sign)
	if c.Count == 1 || c.Count == 0xff {
		p.queue = append(p.queue, i)
	}
}

// finish reports whether all is found: symbol 0 holds every short id.
func (p *Peeler) finish() (done bool, err error) {
	if len(p.cells) == 0 || p.cells[0] != (Symbol{}) {
		return false, nil
	}
	for _, c := range p.cells {
		if c != (Symbol{}) {
			return false, Inconsistent
		}
	}
	sorted := p.sorted()
	for i := 1; i < len(sorted); i++ {
		if sorted[i].short == sorted[i-1].short {
			return false, Inconsistent
		}
	}
	return true, nil
}

func (p *Peeler) sorted() []finding {
	sorted := slices.Clone(p.found)
	slices.SortFunc(sorted, func(a, b finding) int { return cmp.Compare(a.short, b.short) })
	return sorted
}

// Difference returns what was found so far. It is the whole difference once Add
// has reported that it is done.
func (p *Peeler) Difference() Difference {
	var d Difference
	for _, f := range p.sorted() {
		if f.sign > 0 {
			d.Theirs = append(d.Theirs, f.short)
		} else {
			d.Ours = append(d.Ours, f.short)
		}
	}
	return d
}
