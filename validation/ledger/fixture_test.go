package ledger_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	slotMillis = 1_000
	wallets    = 4
	wealth     = 1_000_000 // of each wallet in genesis
)

func keyOf(name string, i int) ed25519.PrivateKey {
	seed := sha256.Sum256(fmt.Appendf(nil, "%s %d", name, i))
	return ed25519.NewKeyFromSeed(seed[:])
}

func addressOf(key ed25519.PrivateKey) wire.Address {
	return wire.Address(key.Public().(ed25519.PublicKey))
}

func wallet(i int) wire.Address   { return addressOf(keyOf("wallet", i)) }
func producer(i int) wire.Address { return addressOf(keyOf("producer", i)) }

func testGenesis(producers int) *wire.Genesis {
	g := &wire.Genesis{
		Network:       "ledger-test",
		AddressPrefix: "gv",
		Time:          1_700_000_000_000,
		SlotMillis:    slotMillis,
		Producers:     []wire.ProducerSet{{}},
		Rules:         []wire.RuleChange{{Version: 1}},
		Limits:        wire.DefaultLimits(),
	}
	for i := range producers {
		g.Producers[0].Producers = append(g.Producers[0].Producers, producer(i))
	}
	for i := range wallets {
		g.Allocations = append(g.Allocations, wire.Allocation{Address: wallet(i), Amount: wealth})
	}
	slices.SortFunc(g.Allocations, func(a, b wire.Allocation) int { return a.Address.Compare(b.Address) })
	return g
}

// pay is a transaction of wallet from.
func pay(g *wire.Genesis, from int, nonce uint64, to wire.Address, amount, fee uint64) *wire.Transaction {
	return wire.SignTx(g.ID(), keyOf("wallet", from), &wire.TxBody{
		Version: 1, Sender: wallet(from), Nonce: nonce, Fee: fee, To: to, Amount: amount,
	})
}

// headerOn is the header body of a block on parent (nil: genesis) in a slot.
func headerOn(g *wire.Genesis, parent *wire.Block, slot uint64, txs ...*wire.Transaction) *wire.HeaderBody {
	h := &wire.HeaderBody{
		Version: 1, Height: 1, Parent: g.ID().GenesisBlock(),
		Slot: slot, Time: g.SlotStart(slot), TxCount: uint32(len(txs)),
	}
	if parent != nil {
		h.Height, h.Parent = parent.Header.Body().Height+1, parent.ID()
	}
	h.Producer = g.ProducerOf(h.Height, slot)
	h.FeeRecipient = h.Producer
	var ids []wire.TxID
	for _, tx := range txs {
		ids = append(ids, tx.ID())
		h.Size += uint32(tx.Size())
	}
	h.TxRoot = wire.TxRoot(ids)
	h.ShortIDsHash = wire.ShortIDsHash(wire.ShortIDs(h.Salt, ids))
	return h
}

func sign(g *wire.Genesis, h *wire.HeaderBody) *wire.Header {
	for i := range 16 {
		if producer(i) == h.Producer {
			return wire.SignHeader(g.ID(), keyOf("producer", i), h)
		}
	}
	return wire.SignHeader(g.ID(), keyOf("mallory", 0), h)
}

// blockOn is a block on parent (nil: genesis) by the producer of the slot.
func blockOn(g *wire.Genesis, parent *wire.Block, slot uint64, txs ...*wire.Transaction) *wire.Block {
	return &wire.Block{Header: sign(g, headerOn(g, parent, slot, txs...)), Txs: txs}
}

// marked is a block like blockOn, but different from it.
func marked(g *wire.Genesis, mark byte, parent *wire.Block, slot uint64, txs ...*wire.Transaction) *wire.Block {
	h := headerOn(g, parent, slot, txs...)
	h.App = []byte{mark}
	return &wire.Block{Header: sign(g, h), Txs: txs}
}

// store is what Blocks needs, and can fail.
type store struct {
	blocks map[wire.BlockID]*wire.Block
	broken bool
}

func (s *store) Block(id wire.BlockID) (*wire.Block, error) {
	b := s.blocks[id]
	if s.broken || b == nil {
		return nil, errors.New("store: no such block")
	}
	return b, nil
}

// chain is a ledger with what stands around it in a node.
type chain struct {
	require *require.Assertions
	g       *wire.Genesis
	store   *store
	ledger  *ledger.Ledger
	checker *validation.Checker
	mirror  map[wire.Address]ledger.Account // made of Changes only
	path    []ledger.Ref                    // from genesis, made of Changes only
	final   ledger.Ref
}

func newChain(t require.TestingT, g *wire.Genesis) *chain {
	c := &chain{
		require: require.New(t), g: g,
		store:  &store{blocks: make(map[wire.BlockID]*wire.Block)},
		mirror: make(map[wire.Address]ledger.Account),
	}
	var err error
	c.ledger, err = ledger.New(g, c.store)
	c.require.NoError(err)
	for _, a := range g.Allocations {
		c.mirror[a.Address] = ledger.Account{Balance: a.Amount}
	}
	c.final = c.ledger.Final()
	c.path = []ledger.Ref{c.final}
	c.rewire()
	return c
}

func (c *chain) rewire() {
	var err error
	c.checker, err = validation.NewChecker(c.g, c.ledger)
	c.require.NoError(err)
}

// check takes a block through the checker by the sync road, long after its slot.
func (c *chain) check(b *wire.Block) (validation.CheckedBlock, error) {
	now := time.UnixMilli(int64(c.g.SlotStart(b.Header.Body().Slot) + 100*slotMillis))
	h, err := c.checker.Header(context.Background(), now, b.Header, validation.Sync)
	if err != nil {
		return validation.CheckedBlock{}, err
	}
	parts := make([]validation.Part, len(b.Txs))
	for i, tx := range b.Txs {
		parts[i].Tx = tx
	}
	return c.checker.Block(h, parts)
}

// add does what a node does: check, store, prepare, make durable, apply.
func (c *chain) add(b *wire.Block) (*ledger.Change, error) {
	checked, err := c.check(b)
	if err != nil {
		return nil, err
	}
	before := c.ledger.Save()
	change, err := c.ledger.Prepare(checked)
	if err != nil {
		c.sameState(before)
		return nil, err
	}
	c.sameState(before)
	c.store.blocks[b.ID()] = b
	c.commit(change)
	c.ledger.Apply(change)
	c.holds()
	return change, nil
}

// mustAdd adds blocks that must be taken.
func (c *chain) mustAdd(blocks ...*wire.Block) (last *ledger.Change) {
	for _, b := range blocks {
		var err error
		last, err = c.add(b)
		c.require.NoError(err)
	}
	return last
}

// sameState holds that Prepare installed nothing. (It may forget side blocks
// that it found invalid, so the tree is not compared.)
func (c *chain) sameState(before ledger.Saved) {
	after := c.ledger.Save()
	c.require.Equal(before.Accounts, after.Accounts)
	c.require.Equal(before.Head, after.Head)
	c.require.Equal(before.Final, after.Final)
}

// commit keeps what a Change says, as a store would.
func (c *chain) commit(change *ledger.Change) {
	for _, r := range change.RolledBack {
		c.require.Equal(c.path[len(c.path)-1], r, "rolled back newest first")
		c.path = c.path[:len(c.path)-1]
		c.require.Greater(r.Height, c.final.Height, "a final block was rolled back")
	}
	for _, r := range change.Applied {
		c.require.Equal(c.path[len(c.path)-1].Height+1, r.Height, "applied oldest first")
		c.path = append(c.path, r)
	}
	c.require.Equal(c.path[len(c.path)-1], change.Head)
	for _, r := range change.NewlyFinal {
		c.require.Equal(c.final.Height+1, r.Height)
		c.final = r
		c.require.Contains(c.path, r)
	}
	c.require.Equal(c.final, change.Final)
	c.require.True(slices.IsSortedFunc(change.Accounts, func(a, b ledger.AccountState) int {
		return bytes.Compare(a.Address[:], b.Address[:])
	}))
	for _, s := range change.Accounts {
		c.require.NotEqual(c.mirror[s.Address], s.Account, "an account that does not differ")
		if s.Account == (ledger.Account{}) {
			delete(c.mirror, s.Address)
			continue
		}
		c.mirror[s.Address] = s.Account
	}
}

// holds checks that the ledger and what its Changes said agree, and that no
// unit was made or lost.
func (c *chain) holds() {
	saved := c.ledger.Save()
	sum := uint64(0)
	for _, s := range saved.Accounts {
		c.require.Equal(c.mirror[s.Address], s.Account)
		c.require.Equal(s.Account, c.ledger.Account(s.Address))
		sum += s.Balance
	}
	c.require.Len(saved.Accounts, len(c.mirror))
	c.require.Equal(c.ledger.Supply(), sum, "the supply changed")
	c.require.Equal(c.path[len(c.path)-1], c.ledger.Head())
	c.require.Equal(c.final, c.ledger.Final())
	for _, r := range c.path {
		at, ok := c.ledger.AtHeight(r.Height)
		c.require.Equal(r.Height >= c.final.Height, ok)
		c.require.Equal(ok, c.ledger.Has(r.ID))
		if ok {
			c.require.Equal(r, at)
		}
	}
	_, ok := c.ledger.AtHeight(c.ledger.Head().Height + 1)
	c.require.False(ok)
}

// saved is what a store made of Changes has: among its headers are some that
// the ledger has dropped.
func (c *chain) saved() ledger.Saved {
	s := ledger.Saved{Head: c.ledger.Head(), Final: c.final}
	for a, acct := range c.mirror {
		s.Accounts = append(s.Accounts, ledger.AccountState{Address: a, Account: acct})
	}
	for _, b := range c.store.blocks {
		if b.Header.Body().Height > c.final.Height {
			s.Tree = append(s.Tree, b.Header)
		}
	}
	return s
}

// crash stores a block and restarts before it is prepared.
func (c *chain) crash(b *wire.Block) {
	c.store.blocks[b.ID()] = b
	c.restart()
}

func (c *chain) restart() {
	var err error
	c.ledger, err = ledger.Restore(c.g, c.store, c.saved())
	c.require.NoError(err)
	c.rewire()
	c.holds()
}
