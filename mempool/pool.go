package mempool

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/tidwall/btree"

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
type Pool struct {
	config Config // constant since New

	byID   map[wire.TxID]*entry
	chains map[wire.Address]*chain
	bytes  int
	ready  int // executable ones

	tails  *btree.BTreeG[place] // the last of each chain by floor: the first to be evicted comes first
	heads  *btree.BTreeG[place] // the first of each chain, if executable, by rate: the best comes last
	expiry *btree.BTreeG[place] // those that expire, by when
}

// New returns an empty Pool, or an error that lists what is wrong with the
// configuration.
func New(config Config) (*Pool, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("mempool: new pool: %w", err)
	}
	serial := btree.Options{NoLocks: true}
	return &Pool{
		config: config,
		byID:   make(map[wire.TxID]*entry),
		chains: make(map[wire.Address]*chain),
		tails:  btree.NewBTreeGOptions(place.before, serial),
		heads:  btree.NewBTreeGOptions(place.before, serial),
		expiry: btree.NewBTreeGOptions(place.before, serial),
	}, nil
}

// Add puts tx into the pool, given its sender's account at the head.
//
// A refused transaction changes nothing, and the error is (wrapped) one of the
// refusals AlreadyKnown, Expired, StaleNonce, NonceTooFar, Underpriced,
// Overdraft, PoolFull. The Change may be non-empty even then: it also reports
// which transactions of the sender left because the account is not what the
// pool was told last.
func (p *Pool) Add(now time.Time, tx validation.CheckedTx, account Account) (Change, error) {
	var change Change
	if tx.IsZero() {
		return change, errors.New("mempool: add: no transaction")
	}
	c := p.chains[tx.Terms().Sender]
	if c != nil && c.account != account {
		p.settle(c, account, nil, &change)
	}
	if c == nil || len(c.txs) == 0 {
		c = &chain{account: account}
	}
	e := newEntry(tx, c)
	if err := p.admit(now, e); err != nil {
		return change, refused(e, err)
	}
	old := p.insert(e)
	victims, ok := p.makeRoom(e)
	if !ok {
		p.undo(e, old, victims)
		return change, refused(e, validation.PoolFull)
	}
	if old != nil {
		change.removed(old, Replaced, e.id())
	}
	for _, v := range victims {
		change.removed(v, Evicted, e.id())
	}
	change.Added = append(change.Added, e.id())
	return change, nil
}

func refused(e *entry, why error) error {
	return fmt.Errorf("mempool: add %v: %w", e.id(), why)
}

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
	if fresh && p.hopeless(e) {
		return validation.PoolFull
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
	if len(c.txs) >= p.config.MaxPerSender {
		return true
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

// insert puts e into its chain and all indexes, in place of the one with its
// nonce, if any.
func (p *Pool) insert(e *entry) (old *entry) {
	c := e.chain
	if len(c.txs) == 0 {
		p.chains[e.tx.Terms().Sender] = c
	}
	was := c.places()
	i, found := c.find(e.nonce())
	if found {
		old = c.txs[i]
		p.unlist(old)
		c.txs[i] = e
	} else {
		c.txs = slices.Insert(c.txs, i, e)
	}
	p.list(e)
	p.reindex(c, i, was)
	return old
}

// remove takes e out of its chain and all indexes.
func (p *Pool) remove(e *entry) {
	c := e.chain
	was := c.places()
	i, _ := c.find(e.nonce())
	p.unlist(e)
	c.txs = slices.Delete(c.txs, i, i+1)
	p.reindex(c, i, was)
}

// list and unlist keep what is kept of each transaction on its own.
func (p *Pool) list(e *entry) {
	terms := e.tx.Terms()
	p.byID[e.id()] = e
	p.bytes += e.tx.Size()
	e.chain.spends += terms.Spends
	if terms.ExpiresAt != 0 {
		p.expiry.Set(place{terms.ExpiresAt, e})
	}
}

func (p *Pool) unlist(e *entry) {
	terms := e.tx.Terms()
	delete(p.byID, e.id())
	p.bytes -= e.tx.Size()
	e.chain.spends -= terms.Spends
	if terms.ExpiresAt != 0 {
		p.expiry.Delete(place{terms.ExpiresAt, e})
	}
}

// reindex puts the chain's figures and its places in the pool's indexes right
// after a change from index i on; was is where the chain stood before. A chain
// without transactions is forgotten.
func (p *Pool) reindex(c *chain, i int, was places) {
	p.ready -= c.ready
	c.refresh(i)
	p.ready += c.ready

	now := c.places()
	move(p.tails, was.tail, now.tail)
	move(p.heads, was.head, now.head)
	if len(c.txs) == 0 && was.tail.entry != nil {
		delete(p.chains, was.tail.entry.tx.Terms().Sender)
	}
}

func move(index *btree.BTreeG[place], from, to place) {
	if from == to {
		return
	}
	if from.entry != nil {
		index.Delete(from)
	}
	if to.entry != nil {
		index.Set(to)
	}
}
