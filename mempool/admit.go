package mempool

import (
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/grapevine-p2p/grapevine/validation"
)

// ErrSenderFull is the PoolFull of a transaction that others of its sender, with
// lower nonces, leave no room for. Once blocks have taken some of those it may enter,
// whatever others pay.
var ErrSenderFull = fmt.Errorf("%w: the sender has as many in it as may wait", validation.PoolFull)

// ErrGivingBack is the PoolFull of what comes while lost blocks have given back more than there is
// room for, whatever it pays: until that has been trimmed, nobody knows what room costs.
var ErrGivingBack = fmt.Errorf("%w: what lost blocks gave back comes first", validation.PoolFull)

// Glance says at a look whether Add would refuse a transaction, whoever signed
// it, given the account of the sender that it names. Two refusals are not for a
// glance, since the transaction may be of use: what is too far ahead may be kept
// until its time comes, if it pays enough for now, and what is known may be
// passed on again. Nothing is refused of a sender whose account is not what the
// pool was told last: Add settles that first.
func (p *Pool) Glance(now time.Time, claim validation.Claim, account Account) error {
	c := &chain{account: account}
	if at, known := p.bySender.find(claim.Terms.Sender); known {
		c = p.chains.at(at)
	}
	if c.account != account {
		return nil
	}
	least := bar{rate: p.sunkFloor(now).rate, life: p.config.MinLife}
	err := p.admit(now, claim, c, least)
	switch {
	case err == nil, errors.Is(err, validation.AlreadyKnown):
		return nil
	case !errors.Is(err, validation.NonceTooFar):
		return refused(claim.ID, err)
	case feeRate(claim.Terms.Fee, claim.Size) < least.rate:
		return refused(claim.ID, validation.PoolFull)
	}
	return nil
}

// CheckGap refuses a nonce that is too far from the next one of its sender.
func (c Config) CheckGap(nonce, next uint64) error {
	if nonce > next && nonce-next > uint64(c.MaxNonceGap) {
		return fmt.Errorf("%w: it is %d, %d is missing", validation.NonceTooFar, nonce, next)
	}
	return nil
}

// bar is the least that a newcomer must have.
type bar struct {
	rate float64       // fee per byte, its own and before its turn
	life time.Duration // before it expires

	returns bool // it comes back from a lost block, and room is made later
}

// outlived says whether what expires then, in unix milliseconds, has less left than that.
func (b bar) outlived(now time.Time, expires uint64) bool {
	return expires < validation.UnixMillis(now.Add(b.life))
}

// mortal says whether something before index i of the chain c may expire before a block can
// take it. What comes after it may be confirmed, or be behind a gap for good.
func (p *Pool) mortal(now time.Time, c *chain, i int, least bar) bool {
	return i > 0 && least.outlived(now, p.entries.at(c.txs[i-1]).ends)
}

// admit says whether what is claimed may join the chain c, room aside.
func (p *Pool) admit(now time.Time, claim validation.Claim, c *chain, least bar) error {
	terms := claim.Terms
	_, known := p.byID.find(claim.ID)
	switch {
	case known:
		return validation.AlreadyKnown
	case terms.ExpiredAt(validation.UnixMillis(now)):
		return validation.Expired
	case terms.ExpiresAt != 0 && least.outlived(now, terms.ExpiresAt):
		return fmt.Errorf("%w: too soon for a block to take it, it must be valid for %v", validation.Expired, least.life)
	case terms.Nonce < c.account.Nonce:
		return fmt.Errorf("%w: it is %d, the account is at %d", validation.StaleNonce, terms.Nonce, c.account.Nonce)
	}
	if err := p.config.CheckGap(terms.Nonce, c.next()); err != nil {
		return err
	}
	i, taken := p.find(c, terms.Nonce)
	spends := c.spends
	if taken {
		old := p.entries.at(c.txs[i])
		if !p.config.Outbids(claim, old.tx.Claim()) {
			return fmt.Errorf("%w: the fee is %d, want %d%% more than the %d of %v, and more per byte",
				validation.Underpriced, terms.Fee, p.config.ReplacePercent, old.tx.Terms().Fee, old.id())
		}
		spends -= old.tx.Terms().Spends
	}
	if validation.SaturatingAdd(spends, terms.Spends) > c.account.Balance {
		return fmt.Errorf("%w: it spends %d beside %d of the sender's others, the balance is %d",
			validation.Overdraft, terms.Spends, spends, c.account.Balance)
	}
	floor := feeRate(terms.Fee, claim.Size)
	if i > 0 {
		floor = min(floor, p.entries.at(c.txs[i-1]).floor)
	}
	switch {
	case !least.returns && p.over(0, 0):
		return ErrGivingBack
	case floor < least.rate:
		return fmt.Errorf("%w: it pays %.3g for each byte, itself or before its turn, and the pool takes none below %.3g for now",
			validation.PoolFull, floor, least.rate)
	case taken || i < len(c.txs):
		return nil // what it replaces, or what follows it, may make room
	case len(c.txs) >= p.config.MaxPerSender:
		return fmt.Errorf("%w: it has %d", ErrSenderFull, len(c.txs))
	case !least.returns && p.hopeless(claim.Size, floor, terms.Nonce != c.next(), p.mortal(now, c, i, least)):
		return fmt.Errorf("%w: it pays no more than those that are in it", validation.PoolFull)
	}
	return nil
}

// Outbids says whether what is claimed pays enough more than what was to take its
// nonce: in all, so that replacing is never a cheap way to have messages
// relayed, and per byte, so that the pool gets no worse.
func (c Config) Outbids(claim, was validation.Claim) bool {
	fee, old := claim.Terms.Fee, was.Terms.Fee
	hi, lo := bits.Mul64(fee, 100)
	wantHi, wantLo := bits.Mul64(old, uint64(100+c.ReplacePercent))
	return (hi > wantHi || hi == wantHi && lo >= wantLo) && fee > old &&
		feeRate(fee, claim.Size) > feeRate(old, was.Size)
}
