package mempool

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Account is what the ledger says of a sender at the head.
type Account struct {
	Nonce   uint64 // the next one to be confirmed
	Balance uint64
}

// Pool holds transactions that wait for a block. It is not safe for concurrent
// use.
//
// Entries and chains have numbers, by which all else names them: what a node
// has most of should be small.
type Pool struct {
	config Config // constant since New

	entries  slab[entry]
	chains   slab[chain]
	byID     index // entries
	bySender index // chains

	bytes int
	ready int // executable ones
	floor floor

	waits  waiting
	tails  ranking // chains by the floor of their last executable transaction: the first to be evicted comes first
	heads  ranking // chains by the rate of their first transaction, if executable: the best comes first
	expiry ranking // entries that expire, by when
}

// New returns an empty Pool, or an error that lists what is wrong with the
// configuration.
func New(config Config) (*Pool, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("mempool: new pool: %w", err)
	}
	p := &Pool{config: config}
	p.byID = newIndex(func(n uint32) [32]byte { return p.entries.at(n).id() })
	p.bySender = newIndex(func(n uint32) [32]byte { return p.entries.at(p.chains.at(n).txs[0]).sender() })
	p.tails, p.expiry, p.heads = newRanking(p.worse), newRanking(p.worse), newRanking(p.better)
	p.waits = newWaiting(p.deeper)
	return p, nil
}

// Add puts tx into the pool, given its sender's account at the head and who
// brought it. The pool keeps a copy, so that a transaction does not hold the
// message it came in.
//
// A refused transaction changes nothing, and the error is (wrapped) one of the
// refusals AlreadyKnown, Expired, StaleNonce, NonceTooFar, Underpriced,
// Overdraft, PoolFull; where only the sender's own are too many, a PoolFull is
// a [ErrSenderFull] too. The Change may be non-empty even then: it also reports
// which transactions of the sender left because the account is not what the
// pool was told last.
func (p *Pool) Add(now time.Time, tx validation.CheckedTx, account Account, from Source) (Change, error) {
	p.floor = p.sunkFloor(now)
	return p.add(now, tx, account, from, bar{rate: p.floor.rate, life: p.config.MinLife})
}

// Return is Add for a transaction of a block that a reorganisation took back.
// It was in a block already, so the fee floor that rose meanwhile is not held
// against it, nor how soon it expires, nor what its sender spends in later
// transactions: where the account cannot pay for all, the last ones leave as
// [Invalid]. All else is.
//
// It makes no room: what waits for this one, and pays best, would be the first to
// leave for it. So the pool may be over its bounds, and takes nothing else, until
// the caller has returned all and has had [Pool.Trim] make room for them together.
func (p *Pool) Return(now time.Time, tx validation.CheckedTx, account Account, from Source) (Change, error) {
	p.floor = p.sunkFloor(now)
	return p.add(now, tx, account, from, bar{returns: true})
}

func (p *Pool) add(now time.Time, tx validation.CheckedTx, account Account, from Source, least bar) (Change, error) {
	var change Change
	if tx.IsZero() {
		return change, errors.New("mempool: add: no transaction")
	}
	sender := tx.Terms().Sender
	c := &chain{account: account} // of a sender who has nothing in the pool
	at, known := p.bySender.find(sender)
	if known && p.chains.at(at).account != account {
		p.settle(at, account, nil, &change)
		known = len(p.chains.at(at).txs) > 0
	}
	if known && least.returns {
		known = p.makeAffordable(now, tx.Claim(), at, &change)
	}
	if known {
		c = p.chains.at(at)
	}
	if err := p.admit(now, tx.Claim(), c, least); err != nil {
		return change, refused(tx.ID(), err)
	}
	if !known {
		at = p.newChain(account)
	}
	n, old := p.insert(tx.Clone(), at, from)
	c = p.chains.at(at)
	i, _ := p.find(c, tx.Terms().Nonce)
	victims, ok := p.makeRoom(n, p.mortal(now, c, i, least), least.returns)
	if !ok {
		p.undo(n, old, victims)
		return change, refused(tx.ID(), validation.PoolFull)
	}
	if !old.tx.IsZero() {
		change.removed(old.tx, Replaced, tx.ID())
	}
	for _, v := range victims {
		change.removed(v.tx, v.why, tx.ID())
		change.Removed[len(change.Removed)-1].Waited = v.waited
		if v.lifts {
			p.floor.lift(now, above(v.floor))
		}
	}
	change.Added = append(change.Added, tx.ID())
	return change, nil
}

// makeAffordable removes the last transactions of the chain at, as many as it takes for the
// account to pay for what is claimed, if that comes before them and can be paid then. It says
// whether something is left of the chain.
func (p *Pool) makeAffordable(now time.Time, claim validation.Claim, at uint32, change *Change) bool {
	c, terms := p.chains.at(at), claim.Terms
	i, taken := p.find(c, terms.Nonce)
	if taken || terms.Nonce < c.account.Nonce || terms.ExpiredAt(validation.UnixMillis(now)) || p.config.CheckGap(terms.Nonce, c.next()) != nil {
		return true
	}
	spends := terms.Spends
	for _, n := range c.txs[:i] {
		spends = validation.SaturatingAdd(spends, p.entries.at(n).tx.Terms().Spends)
	}
	if spends > c.account.Balance {
		return true
	}
	for left := len(c.txs); left > i && validation.SaturatingAdd(c.spends, terms.Spends) > c.account.Balance; left-- {
		_, last := p.last(c)
		change.removed(p.remove(last).tx, Invalid, wire.TxID{})
		if left == 1 {
			return false
		}
	}
	return true
}

func refused(id wire.TxID, why error) error {
	return fmt.Errorf("mempool: add %v: %w", id, why)
}

// gone is a transaction that left, and what it takes to put it back.
type gone struct {
	tx      validation.CheckedTx
	from    Source
	account Account
	floor   float64
	why     Reason
	waited  bool // and was evicted
	lifts   bool // it left because others pay more, so the fee floor is above it
}

func (p *Pool) newChain(account Account) uint32 {
	n := p.chains.take()
	p.chains.at(n).account = account
	return n
}

// insert puts tx into the chain given, which is its sender's, and all indexes,
// in place of the one with its nonce, if any, which it returns.
func (p *Pool) insert(tx validation.CheckedTx, chain uint32, from Source) (n uint32, old gone) {
	terms := tx.Terms()
	n = p.entries.take()
	e := p.entries.at(n)
	*e = newEntry(tx)
	e.chain, e.source = chain, p.waits.share(from)
	c := p.chains.at(chain)
	if len(c.txs) == 0 {
		p.bySender.add(chain, terms.Sender)
	}
	i, found := p.find(c, terms.Nonce)
	if !found {
		c.txs = slices.Insert(c.txs, i, n)
		p.list(n)
		p.reindex(chain, i, terms.Sender)
		return n, gone{}
	}
	replaced := c.txs[i]
	was := p.entries.at(replaced)
	old = gone{tx: was.tx, from: p.waits.name(was.source), account: c.account}
	p.unlist(replaced)
	c.txs[i] = n
	p.list(n)
	p.reindex(chain, i, terms.Sender)
	p.give(replaced)
	return n, old
}

// remove takes an entry out of its chain and all indexes.
func (p *Pool) remove(n uint32) gone {
	e := p.entries.at(n)
	c := p.chains.at(e.chain)
	left := gone{tx: e.tx, from: p.waits.name(e.source), account: c.account, floor: e.floor}
	i, _ := p.find(c, e.nonce())
	p.unlist(n)
	c.txs = slices.Delete(c.txs, i, i+1)
	p.reindex(e.chain, i, left.tx.Terms().Sender)
	p.give(n)
	return left
}

// give gives back an entry that is in no index any more.
func (p *Pool) give(n uint32) {
	p.waits.unshare(p.entries.at(n).source)
	p.entries.give(n)
}

// list and unlist keep what is kept of each transaction on its own.
func (p *Pool) list(n uint32) {
	e := p.entries.at(n)
	terms := e.tx.Terms()
	p.byID.add(n, e.id())
	p.bytes += int(e.size)
	p.chains.at(e.chain).spends += terms.Spends
	if terms.ExpiresAt != 0 {
		p.expiry.set(place{rank: terms.ExpiresAt, entry: n, owner: n})
	}
}

func (p *Pool) unlist(n uint32) {
	e := p.entries.at(n)
	p.byID.remove(n, e.id())
	p.bytes -= int(e.size)
	p.chains.at(e.chain).spends -= e.tx.Terms().Spends
	p.expiry.remove(n)
	p.waits.remove(n, e)
}

// reindex puts the chain's figures and its places in the rankings right after a
// change from index i on. A chain without transactions is forgotten. Entries
// that left the chain are given back only after that: the rankings still name
// them.
func (p *Pool) reindex(n uint32, i int, sender wire.Address) {
	c := p.chains.at(n)
	p.ready -= int(c.ready)
	p.refresh(c, i)
	p.ready += int(c.ready)

	if c.ready > 0 {
		first := c.txs[0]
		p.heads.set(place{rank: rankOf(p.entries.at(first).rate()), entry: first, owner: n})
		last := c.txs[c.ready-1]
		p.tails.set(place{rank: rankOf(p.entries.at(last).floor), entry: last, owner: n})
	} else {
		p.heads.remove(n)
		p.tails.remove(n)
	}
	if len(c.txs) == 0 {
		p.bySender.remove(n, sender)
		p.chains.give(n)
	}
}
