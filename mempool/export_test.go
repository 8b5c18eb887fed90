package mempool

import (
	"errors"
	"fmt"
)

// Audit compares everything that the pool keeps incrementally with what follows
// from its transactions.
func (p *Pool) Audit() error {
	var errs []error
	want := func(what string, got, want int) {
		if got != want {
			errs = append(errs, fmt.Errorf("%s is %d, want %d", what, got, want))
		}
	}
	count, bytes, ready, heads, expiring := 0, 0, 0, 0, 0
	for sender, c := range p.chains {
		spends, consecutive := uint64(0), 0
		for i, e := range c.txs {
			if p.byID[e.id()] != e || e.chain != c || e.tx.Terms().Sender != sender {
				errs = append(errs, fmt.Errorf("%v is not where it belongs", e.id()))
			}
			if i > 0 && e.nonce() <= c.txs[i-1].nonce() || e.nonce() < c.account.Nonce {
				errs = append(errs, fmt.Errorf("nonce %d is out of order", e.nonce()))
			}
			if e.nonce() == c.account.Nonce+uint64(i) {
				consecutive++
			}
			if e.tx.Terms().ExpiresAt != 0 {
				expiring++
				if got, ok := p.expiry.Get(place{e.tx.Terms().ExpiresAt, e}); !ok || got.entry != e {
					errs = append(errs, fmt.Errorf("%v would not expire", e.id()))
				}
			}
			count++
			bytes += e.tx.Size()
			spends += e.tx.Terms().Spends
		}
		want("spends", int(c.spends), int(spends))
		want("ready of chain", c.ready, consecutive)
		if spends > c.account.Balance {
			errs = append(errs, fmt.Errorf("%d are spent of %d", spends, c.account.Balance))
		}
		if got, ok := p.tails.Get(c.places().tail); !ok || got.entry != c.last() {
			errs = append(errs, errors.New("a chain is not listed by its tail"))
		}
		if c.ready > 0 {
			heads++
			if got, ok := p.heads.Get(c.places().head); !ok || got.entry != c.txs[0] {
				errs = append(errs, errors.New("a chain is not listed by its head"))
			}
		}
		ready += c.ready
	}
	want("count", len(p.byID), count)
	want("bytes", p.bytes, bytes)
	want("executable", p.ready, ready)
	want("tails", p.tails.Len(), len(p.chains))
	want("heads", p.heads.Len(), heads)
	want("expiring", p.expiry.Len(), expiring)
	if p.over(0, 0) {
		errs = append(errs, errors.New("over the bounds"))
	}
	for _, c := range p.chains {
		if len(c.txs) > p.config.MaxPerSender {
			errs = append(errs, errors.New("over the bound of a sender"))
		}
	}
	return errors.Join(errs...)
}
