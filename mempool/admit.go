package mempool

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/grapevine-p2p/grapevine/validation"
)

// admit says whether e may join its chain, room aside.
func (p *Pool) admit(now time.Time, e *entry) error {
	c, terms := e.chain, e.tx.Terms()
	switch {
	case p.byID[e.id()] != nil:
		return validation.AlreadyKnown
	case terms.ExpiredAt(validation.UnixMillis(now)):
		return validation.Expired
	case terms.Nonce < c.account.Nonce:
		return fmt.Errorf("%w: it is %d, the account is at %d", validation.StaleNonce, terms.Nonce, c.account.Nonce)
	case terms.Nonce > c.next() && terms.Nonce-c.next() > uint64(p.config.MaxNonceGap):
		return fmt.Errorf("%w: it is %d, %d is missing", validation.NonceTooFar, terms.Nonce, c.next())
	}
	spends, fresh := c.spends, true
	if i, found := c.find(terms.Nonce); found {
		old := c.txs[i]
		if !p.outbids(e, old) {
			return fmt.Errorf("%w: the fee is %d, want %d%% more than the %d of %v, and more per byte",
				validation.Underpriced, terms.Fee, p.config.ReplacePercent, old.tx.Terms().Fee, old.id())
		}
		spends, fresh = spends-old.tx.Terms().Spends, false
	}
	if validation.SaturatingAdd(spends, terms.Spends) > c.account.Balance {
		return fmt.Errorf("%w: it spends %d beside %d of the sender's others, the balance is %d",
			validation.Overdraft, terms.Spends, spends, c.account.Balance)
	}
	if fresh && len(c.txs) >= p.config.MaxPerSender && terms.Nonce > c.last().nonce() {
		return fmt.Errorf("%w: the sender has %d transactions in it, and no more may wait", validation.PoolFull, len(c.txs))
	}
	if fresh && p.hopeless(e) {
		return fmt.Errorf("%w: it pays no more than those that are in it", validation.PoolFull)
	}
	return nil
}

// outbids says whether e pays enough more than old to take its nonce: in all,
// so that replacing is never a cheap way to have messages relayed, and per
// byte, so that the pool gets no worse.
func (p *Pool) outbids(e, old *entry) bool {
	hi, lo := bits.Mul64(e.tx.Terms().Fee, 100)
	wantHi, wantLo := bits.Mul64(old.tx.Terms().Fee, uint64(100+p.config.ReplacePercent))
	return (hi > wantHi || hi == wantHi && lo >= wantLo) && e.tx.Terms().Fee > old.tx.Terms().Fee && e.rate > old.rate
}
