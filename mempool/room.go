package mempool

import "slices"

// hopeless says of an entry that would be the last of its chain that there is
// no room and nobody who yields to it: what makeRoom would find out, without
// the work of trying. A flood of cheap transactions ends here.
func (p *Pool) hopeless(e *entry) bool {
	c := e.chain
	e.floor = e.rate
	if len(c.txs) > 0 {
		if e.nonce() < c.last().nonce() {
			return false
		}
		e.floor = min(e.rate, c.last().floor)
	}
	waits := e.nonce() != c.next()
	if !p.over(1, e.tx.Size()) && !(waits && p.waiting() >= p.config.MaxWaiting) {
		return false
	}
	first, ok := p.tails.Min()
	switch {
	case !ok:
		return true
	case waits && first.executable():
		return true
	case !waits && !first.executable():
		return false
	default:
		return first.rate() >= e.floor
	}
}

// over says whether the pool with that much more would be over its bounds.
func (p *Pool) over(count, bytes int) bool {
	return len(p.byID)+count > p.config.MaxCount || p.bytes+bytes > p.config.MaxBytes
}

func (p *Pool) waiting() int { return len(p.byID) - p.ready }

// makeRoom evicts until the bounds hold with e, which is in already. It is not
// ok where that would take a transaction that does not yield to e; what was
// evicted until then is returned all the same.
func (p *Pool) makeRoom(e *entry) (victims []*entry, ok bool) {
	for {
		var v *entry
		switch {
		case len(e.chain.txs) > p.config.MaxPerSender:
			v = e.chain.last()
		case p.over(0, 0), e.waiting() && p.waiting() > p.config.MaxWaiting:
			first, _ := p.tails.Min()
			v = first.entry
		default:
			return victims, true
		}
		if !v.yields(e) {
			return victims, false
		}
		p.remove(v)
		victims = append(victims, v)
	}
}

// yields says whether v, the last of its chain, may be evicted for e.
func (v *entry) yields(e *entry) bool {
	switch {
	case v.chain == e.chain:
		return v.nonce() > e.nonce() // worth nothing without e
	case v.waiting() != e.waiting():
		return v.waiting()
	default:
		return v.floor < e.floor
	}
}

// undo takes e out again and puts back what left for it.
func (p *Pool) undo(e, old *entry, victims []*entry) {
	p.remove(e)
	if old != nil {
		p.insert(old)
	}
	for _, v := range slices.Backward(victims) {
		p.insert(v)
	}
}
