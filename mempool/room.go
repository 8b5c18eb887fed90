package mempool

import (
	"math"
	"slices"
	"time"
)

// hopeless says of a transaction of that size and floor that would be the last
// of its chain, whoever brings it, that there is no room and nobody who yields to
// it: what makeRoom would find out, without the work of trying. A flood of cheap
// transactions ends here. For a mortal one nobody makes room.
func (p *Pool) hopeless(size int, floor float64, waits, mortal bool) bool {
	switch {
	case !p.over(1, size) && !(waits && p.crowded(1, size)):
		return false
	case mortal:
		return true
	case p.waiting() > 0:
		return false
	}
	first, ok := p.tails.first()
	return !ok || waits || first.rate() >= floor
}

// worst returns the transaction that is the first to be evicted, and whether it
// waits: of those that wait, one of the source that takes most of what is short.
func (p *Pool) worst(bytes bool, preferred uint32) (first uint32, waiting bool) {
	if s, ok := p.waits.most(bytes, preferred); ok {
		of, _ := p.waits.sources.at(s).ranks.first()
		return of.entry, true
	}
	of, _ := p.tails.first()
	return of.entry, false
}

// over says whether the pool with that much more would be over its bounds.
func (p *Pool) over(count, bytes int) bool {
	return p.Len()+count > p.config.MaxCount || p.bytes+bytes > p.config.MaxBytes
}

// crowded says whether so much more that waits would be too much.
func (p *Pool) crowded(count, bytes int) bool {
	return p.waiting()+count > p.config.MaxWaiting || p.waits.bytes+bytes > p.config.MaxWaitingBytes
}

func (p *Pool) waiting() int { return p.Len() - p.ready }

// makeRoom evicts until the bounds hold with the entry n, which is in already. It
// is not ok where that would take a transaction that does not yield to it; what
// was evicted until then is returned all the same. For what returns from a lost
// block it evicts others of its sender only.
func (p *Pool) makeRoom(n uint32, mortal, returns bool) (victims []gone, ok bool) {
	e := p.entries.at(n)
	for {
		c := p.chains.at(e.chain)
		waits, crowded := c.waits(e.nonce()), p.over(0, 0)
		var v uint32
		why := Evicted
		switch {
		case len(c.txs) > p.config.MaxPerSender:
			_, v = p.last(c)
			why, crowded = Displaced, false
		case returns, !crowded && !(waits && p.crowded(0, 0)):
			return victims, true
		case crowded:
			v, _ = p.worst(p.Len() <= p.config.MaxCount, e.source)
		default:
			v, _ = p.worst(p.waiting() <= p.config.MaxWaiting, e.source)
		}
		victim := p.entries.at(v)
		stuck := p.chains.at(victim.chain).waits(victim.nonce())
		if !p.yields(v, stuck, n, waits, mortal) || len(victims) == 1 && !p.enough(n, waits, mortal) {
			return victims, false
		}
		left := p.remove(v)
		// What waits may offer anything, since it need not come true: it says
		// nothing of what room is worth.
		left.why, left.waited, left.lifts = why, stuck && why == Evicted, crowded && !stuck
		victims = append(victims, left)
	}
}

// Trim removes what there is no room for after transactions of lost blocks came back
// ([Pool.Return]), those first that make room for others, and says whether there may be more
// of it. They leave as Evicted, for nobody in particular.
func (p *Pool) Trim(now time.Time) (change Change, more bool) {
	p.floor = p.sunkFloor(now)
	for range p.config.MaxSweep {
		if !p.over(0, 0) {
			return change, false
		}
		const nobody = math.MaxUint32
		v, waits := p.worst(p.Len() <= p.config.MaxCount, nobody)
		left := p.remove(v)
		change.Removed = append(change.Removed, Removal{ID: left.tx.ID(), Tx: left.tx, Reason: Evicted, Waited: waits})
		if !waits {
			p.floor.lift(now, above(left.floor))
		}
	}
	return change, p.over(0, 0)
}

// enough says whether all that makeRoom has still to evict for the entry n yields to it, if that
// is executable. A large one takes many, and if it is refused in the end they would all have to
// be put back: work at the expense of everybody but its sender. What waits is worth no such
// look: it moves others that wait, of which there are few.
func (p *Pool) enough(n uint32, waits, mortal bool) bool {
	if waits {
		return true
	}
	left := leaving{pool: p, tails: p.tails.walk()}
	count, bytes := p.Len()-p.waiting(), p.bytes-p.waits.bytes // those that wait all yield
	for count > p.config.MaxCount || bytes > p.config.MaxBytes {
		v := left.next()
		if !p.yields(v.entry, false, n, false, mortal) {
			return false
		}
		count, bytes = count-1, bytes-int(p.entries.at(v.entry).size)
	}
	return true
}

// leaving visits executable transactions in the order in which worst names them if each that it
// names is removed, and removes none. The pool must not change meanwhile.
type leaving struct {
	pool   *Pool
	tails  walk
	behind []place // the last but those visited of their chains, the worst last
}

// next returns the next one. There must be one.
func (l *leaving) next() (v place) {
	v, ok := l.tails.peek()
	if n := len(l.behind); n > 0 && (!ok || l.pool.worse(l.behind[n-1], v)) {
		v, l.behind = l.behind[n-1], l.behind[:n-1]
	} else {
		l.tails.skip()
	}
	c := l.pool.chains.at(v.owner)
	if i, _ := l.pool.find(c, l.pool.entries.at(v.entry).nonce()); i > 0 {
		before := c.txs[i-1]
		at := place{rank: rankOf(l.pool.entries.at(before).floor), entry: before, owner: v.owner}
		j, _ := slices.BinarySearchFunc(l.behind, at, func(a, b place) int {
			if l.pool.worse(b, a) {
				return -1
			}
			return 1
		})
		l.behind = slices.Insert(l.behind, j, at)
	}
	return v
}

// yields says whether the transaction v, which worst named or is the last of its chain, may be
// evicted for n. Of others nobody yields to a mortal one, and what the node answers for to nothing
// that waits.
func (p *Pool) yields(v uint32, vWaits bool, n uint32, nWaits, mortal bool) bool {
	victim, e := p.entries.at(v), p.entries.at(n)
	switch {
	case victim.chain == e.chain:
		return victim.nonce() > e.nonce() // worth nothing without e
	case mortal:
		return false
	case vWaits != nWaits:
		return vWaits
	case vWaits && victim.source != e.source:
		return true // of a peer that takes more
	case vWaits && p.waits.name(e.source) == Own:
		return false
	default:
		return victim.floor < e.floor
	}
}

// undo takes the entry n out again and puts back what left for it.
func (p *Pool) undo(n uint32, old gone, victims []gone) {
	p.remove(n)
	if !old.tx.IsZero() {
		p.putBack(old)
	}
	for _, v := range slices.Backward(victims) {
		p.putBack(v)
	}
}

func (p *Pool) putBack(left gone) {
	at, known := p.bySender.find(left.tx.Terms().Sender)
	if !known {
		at = p.newChain(left.account)
	}
	p.insert(left.tx, at, left.from)
}
