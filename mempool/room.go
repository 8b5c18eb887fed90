package mempool

import "slices"

// hopeless says of a transaction of that size and floor that would be the last
// of its chain that there is no room and nobody who yields to it: what makeRoom
// would find out, without the work of trying. A flood of cheap transactions
// ends here. For a mortal one nobody makes room.
func (p *Pool) hopeless(size int, floor float64, waits, mortal bool) bool {
	if !p.over(1, size) && !(waits && p.waiting() >= p.config.MaxWaiting) {
		return false
	}
	first, waiting, ok := p.worst()
	switch {
	case !ok || mortal:
		return true
	case waits != waiting:
		return waits
	default:
		return first.rate() >= floor
	}
}

// worst returns the chain whose last transaction is the first to be evicted,
// and whether that one waits.
func (p *Pool) worst() (first place, waiting, ok bool) {
	if first, ok = p.stuck.first(); ok {
		return first, true, true
	}
	first, ok = p.tails.first()
	return first, false, ok
}

// over says whether the pool with that much more would be over its bounds.
func (p *Pool) over(count, bytes int) bool {
	return p.Len()+count > p.config.MaxCount || p.bytes+bytes > p.config.MaxBytes
}

func (p *Pool) waiting() int { return p.Len() - p.ready }

// makeRoom evicts until the bounds hold with the entry n, which is in already.
// It is not ok where that would take a transaction that does not yield to it;
// what was evicted until then, one at most, is returned all the same.
func (p *Pool) makeRoom(n uint32, mortal bool) (victims []gone, ok bool) {
	e := p.entries.at(n)
	for {
		c := p.chains.at(e.chain)
		waits, crowded := c.waits(e.nonce()), false
		var v uint32
		why := Evicted
		switch {
		case len(c.txs) > p.config.MaxPerSender:
			_, v = p.last(c)
			why = Displaced
		case p.over(0, 0):
			first, _, _ := p.worst()
			v, crowded = first.entry, true
		case waits && p.waiting() > p.config.MaxWaiting:
			first, _, _ := p.worst()
			v = first.entry
		default:
			return victims, true
		}
		victim := p.entries.at(v)
		stuck := p.chains.at(victim.chain).waits(victim.nonce())
		if !yields(victim, stuck, e, waits, mortal) || len(victims) == 1 && !p.enough(n, mortal) {
			return victims, false
		}
		left := p.remove(v)
		// What waits may offer anything, since it need not come true: it says
		// nothing of what room is worth.
		left.why, left.lifts = why, crowded && !stuck
		victims = append(victims, left)
	}
}

// enough says whether all that makeRoom has still to evict for the entry n yields to it. A large
// one takes many, and if it is refused in the end they would all have to be put back: work at
// the expense of everybody but its sender.
func (p *Pool) enough(n uint32, mortal bool) bool {
	e := p.entries.at(n)
	waits := p.chains.at(e.chain).waits(e.nonce())
	left := leaving{pool: p, stuck: p.stuck.walk(), tails: p.tails.walk()}
	count, bytes, waiting := p.Len(), p.bytes, p.waiting()
	for count > p.config.MaxCount || bytes > p.config.MaxBytes || waits && waiting > p.config.MaxWaiting {
		v, stuck := left.next()
		victim := p.entries.at(v.entry)
		if !yields(victim, stuck, e, waits, mortal) {
			return false
		}
		count, bytes = count-1, bytes-int(victim.size)
		if stuck {
			waiting--
		}
	}
	return true
}

// leaving visits transactions in the order in which worst names them if each that it names is
// removed, and removes none. The pool must not change meanwhile.
type leaving struct {
	pool         *Pool
	stuck, tails walk
	behind       [2][]place // the last but those visited of their chains, the worst last: of stuck, and of tails
}

// next returns the next one, and whether it waits. There must be one.
func (l *leaving) next() (v place, waits bool) {
	v, ok := l.take(&l.stuck, &l.behind[0])
	if waits = ok; !ok {
		v, _ = l.take(&l.tails, &l.behind[1])
	}
	c := l.pool.chains.at(v.owner)
	if i, _ := l.pool.find(c, l.pool.entries.at(v.entry).nonce()); i > 0 {
		before := c.txs[i-1]
		to := &l.behind[0]
		if i <= int(c.ready) {
			to = &l.behind[1]
		}
		at := place{rank: rankOf(l.pool.entries.at(before).floor), entry: before, owner: v.owner}
		j, _ := slices.BinarySearchFunc(*to, at, func(a, b place) int {
			if l.pool.worse(b, a) {
				return -1
			}
			return 1
		})
		*to = slices.Insert(*to, j, at)
	}
	return v, waits
}

// take removes the worse of what comes next in a walk and in a list.
func (l *leaving) take(w *walk, list *[]place) (v place, ok bool) {
	v, ok = w.peek()
	if n := len(*list); n > 0 && (!ok || l.pool.worse((*list)[n-1], v)) {
		v, *list = (*list)[n-1], (*list)[:n-1]
		return v, true
	}
	if ok {
		w.skip()
	}
	return v, ok
}

// yields says whether v, the last of its chain, may be evicted for e. Of others nobody yields to
// a mortal one.
func yields(v *entry, vWaits bool, e *entry, eWaits, mortal bool) bool {
	switch {
	case v.chain == e.chain:
		return v.nonce() > e.nonce() // worth nothing without e
	case mortal:
		return false
	case vWaits != eWaits:
		return vWaits
	default:
		return v.floor < e.floor
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
	p.insert(left.tx, at)
}
