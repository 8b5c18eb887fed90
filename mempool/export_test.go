package mempool

import (
	"errors"
	"fmt"
	"math"
)

// Audit compares everything that the pool keeps incrementally with what follows
// from its transactions.
func (p *Pool) Audit() error {
	var a audit
	var sum audited
	for _, n := range p.bySender.table {
		if n.number == 0 {
			continue
		}
		n := n.number - 1
		c := p.chains.at(n)
		sum.chains++
		a.chain(p, n, c, &sum)
	}
	a.want("count", p.Len(), sum.count)
	a.want("senders", p.bySender.count, sum.chains)
	a.want("bytes", p.bytes, sum.bytes)
	a.want("executable", p.ready, sum.ready)
	a.want("tails", p.tails.len(), sum.heads)
	a.want("heads", p.heads.len(), sum.heads)
	a.sources(p, &sum)
	a.want("expiring", p.expiry.len(), sum.expiring)
	a.want("entries", int(p.entries.used)-len(p.entries.spare), sum.count)
	a.want("chains", int(p.chains.used)-len(p.chains.spare), sum.chains)
	a.that(!p.over(0, 0), "over the bounds")
	for _, r := range []*ranking{&p.tails, &p.heads, &p.expiry} {
		a.order(r)
	}
	return errors.Join(a...)
}

type audited struct{ chains, count, bytes, ready, heads, expiring, waitingBytes int }

type audit []error

func (a *audit) order(r *ranking) {
	for i, place := range r.heap {
		a.that(i == 0 || !r.before(place, r.heap[(i-1)/2]), "a ranking is out of order")
		a.that(int((*r.at)[place.owner]) == i+1, "a ranking lost somebody")
	}
}

func (a *audit) sources(p *Pool, sum *audited) {
	brings, waits, inBytes := 0, 0, 0
	for name, n := range p.waits.byName {
		s := p.waits.sources.at(n)
		a.that(s.name == name && s.brings > 0, "source %q is kept for nothing", name)
		a.order(&s.ranks)
		brings += s.brings
		waits += s.ranks.len()
		inBytes += s.bytes
	}
	a.want("brought", brings, sum.count)
	a.want("waiting", waits, sum.count-sum.ready)
	a.want("bytes that wait", p.waits.bytes, sum.waitingBytes)
	a.want("bytes that wait, by source", inBytes, sum.waitingBytes)
	a.want("sources", int(p.waits.sources.used)-len(p.waits.sources.spare), len(p.waits.byName))
}

func (a *audit) that(holds bool, format string, args ...any) {
	if !holds {
		*a = append(*a, fmt.Errorf(format, args...))
	}
}

func (a *audit) want(what string, got, want int) {
	a.that(got == want, "%s is %d, want %d", what, got, want)
}

func (a *audit) chain(p *Pool, n uint32, c *chain, sum *audited) {
	a.that(len(c.txs) > 0 && len(c.txs) <= p.config.MaxPerSender, "a chain has %d", len(c.txs))
	spends, consecutive, floor, ends := uint64(0), 0, 0.0, uint64(math.MaxUint64)
	for i, en := range c.txs {
		e := p.entries.at(en)
		byID, ok := p.byID.find(e.id())
		a.that(ok && byID == en && e.chain == n && e.sender() == p.entries.at(c.txs[0]).sender(), "%v is not where it belongs", e.id())
		a.that(e.nonce() >= c.account.Nonce && (i == 0 || e.nonce() > p.entries.at(c.txs[i-1]).nonce()), "nonce %d is out of order", e.nonce())
		if e.nonce() == c.account.Nonce+uint64(i) {
			consecutive++
		}
		if floor = min(floor, e.rate()); i == 0 {
			floor = e.rate()
		}
		a.that(e.floor == floor, "floor is %v, want %v", e.floor, floor)
		if at := e.tx.Terms().ExpiresAt; at != 0 {
			ends = min(ends, at)
		}
		a.want("the chain's end", int(e.ends), int(ends))
		at, listed := p.expiry.get(en)
		a.that(listed == (e.tx.Terms().ExpiresAt != 0) && at.rank == e.tx.Terms().ExpiresAt, "%v would not expire", e.id())
		if listed {
			sum.expiring++
		}
		place, waits := p.waits.sources.at(e.source).ranks.get(en)
		a.that(waits == c.waits(e.nonce()), "it is listed wrongly as one that waits")
		if waits {
			a.that(place.rank == rankOf(e.floor), "it waits in a wrong place")
			sum.waitingBytes += e.tx.Size()
		}
		sum.count++
		sum.bytes += e.tx.Size()
		spends += e.tx.Terms().Spends
	}
	a.want("spends", int(c.spends), int(spends))
	a.want("ready of chain", int(c.ready), consecutive)
	a.that(spends <= c.account.Balance, "%d are spent of %d", spends, c.account.Balance)
	head, ok := p.heads.get(n)
	tail, also := p.tails.get(n)
	a.that(ok == (c.ready > 0) && also == ok, "a chain is listed wrongly")
	if ok {
		sum.heads++
		first, last := c.txs[0], c.txs[c.ready-1]
		a.that(head == place{rankOf(p.entries.at(first).rate()), first, n}, "a chain is not listed by its head")
		a.that(tail == place{rankOf(p.entries.at(last).floor), last, n}, "a chain is not listed by its tail")
	}
	sum.ready += int(c.ready)
}
