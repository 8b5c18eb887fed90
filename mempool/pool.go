package mempool

import (
	"errors"
	"fmt"
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
