package core

import (
	"context"
	"time"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// chain is the pool and the ledger of one node, and the order in which they
// change: what node's chain does with a store, a lock and events around it.
type chain struct {
	pool   *mempool.Pool
	limits mempool.Config
	ledger *ledger.Ledger
	blocks bodies
	audit  audit

	rolledBack int // blocks
}

func newChain(g *wire.Genesis, limits mempool.Config) (*chain, error) {
	limits.MinLife = mempool.MinSlots * time.Duration(g.SlotMillis) * time.Millisecond
	c := &chain{limits: limits, blocks: make(bodies)}
	var err error
	if c.pool, err = mempool.New(limits); err != nil {
		return nil, err
	}
	if c.ledger, err = ledger.New(g, c.blocks); err != nil {
		return nil, err
	}
	c.audit = newAudit(c.ledger.Final())
	return c, nil
}

// returned is the source of what lost blocks give back: who sent it is forgotten.
const returned mempool.Source = "returned"

// restart forgets what a process has in memory only.
func (c *chain) restart() error {
	var err error
	c.pool, err = mempool.New(c.limits)
	return err
}

func (c *chain) addTx(now time.Time, tx validation.CheckedTx, from mempool.Source) error {
	_, err := c.pool.Add(now, tx, accountOf(c.ledger.Account(tx.Terms().Sender)), from)
	return err
}

func accountOf(a ledger.Account) mempool.Account {
	return mempool.Account{Nonce: a.Nonce, Balance: a.Balance}
}

// checkHeader says whether the block has a place in this node's chain now.
func (c *chain) checkHeader(now time.Time, b validation.CheckedBlock, road validation.Road) error {
	return c.ledger.CheckHeader(context.Background(), now, b.Header().Body(), road)
}

// addBlock gives a block to the ledger and makes the pool follow. The second
// error is that of an invariant.
func (c *chain) addBlock(now time.Time, b validation.CheckedBlock, m *Message) (broken, err error) {
	change, err := c.ledger.Prepare(b)
	if err != nil {
		return nil, err
	}
	if broken := c.audit.change(c.ledger, change); broken != nil {
		return broken, nil
	}
	c.blocks[b.ID()] = kept{b, m}
	c.ledger.Apply(change)
	c.rolledBack += len(change.RolledBack)
	var touched []mempool.Touched
	for _, a := range change.Accounts {
		touched = append(touched, mempool.Touched{Address: a.Address, Account: accountOf(a.Account)})
	}
	var included []wire.TxID
	for _, ref := range change.Applied {
		included = append(included, c.blocks[ref.ID].block.Block().TxIDs()...)
	}
	if len(touched)+len(included) > 0 {
		c.pool.Settle(now, touched, included)
	}
	for i := len(change.RolledBack) - 1; i >= 0; i-- {
		for _, tx := range c.blocks[change.RolledBack[i].ID].block.Txs() {
			// Refused where the new chain has it, or leaves no place for it.
			_, _ = c.pool.Return(now, tx, accountOf(c.ledger.Account(tx.Terms().Sender)), returned)
		}
	}
	for more := true; more; {
		_, more = c.pool.Trim(now)
	}
	return nil, nil
}

// template picks transactions for a block on the head.
func (c *chain) template(now time.Time, limits wire.Limits) []validation.CheckedTx {
	const perTx = 4 // a tag and a length
	limit := int(limits.MaxBlockBytes) - wire.MaxHeader - 8
	txs := c.pool.Template(now, limit, int(limits.MaxBlockTxs))
	size := 0
	for i, tx := range txs {
		if size += tx.Size() + perTx; size > limit {
			return txs[:i]
		}
	}
	return txs
}
