package mempool

import "slices"

// hopeless says of a transaction of that size and floor that would be the last
// of its chain that there is no room and nobody who yields to it: what makeRoom
// would find out, without the work of trying. A flood of cheap transactions
// ends here.
func (p *Pool) hopeless(size int, floor float64, waits bool) bool {
	if !p.over(1, size) && !(waits && p.waiting() >= p.config.MaxWaiting) {
		return false
	}
	first, waiting, ok := p.worst()
	switch {
	case !ok:
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
// what was evicted until then is returned all the same.
func (p *Pool) makeRoom(n uint32) (victims []gone, ok bool) {
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
		if !yields(victim, stuck, e, waits) {
			return victims, false
		}
		left := p.remove(v)
		// What waits may offer anything, since it need not come true: it says
		// nothing of what room is worth.
		left.why, left.lifts = why, crowded && !stuck
		victims = append(victims, left)
	}
}

// yields says whether v, the last of its chain, may be evicted for e.
func yields(v *entry, vWaits bool, e *entry, eWaits bool) bool {
	switch {
	case v.chain == e.chain:
		return v.nonce() > e.nonce() // worth nothing without e
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
