package ledger

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Account is what the ledger knows of an address. The zero value is an address
// that was never used.
type Account struct {
	Balance uint64 // in the smallest unit
	Nonce   uint64 // the next one expected; the first transaction of an account has nonce 0
}

// AccountState is an account with its address.
type AccountState struct {
	Address wire.Address
	Account
}

// Ref names a block and says where it stands.
type Ref struct {
	ID     wire.BlockID
	Height uint64
	Slot   uint64
	Time   uint64 // unix milliseconds
}

// Blocks returns the bodies of blocks that were added before, for rollback and
// roll-forward. A rollback inverts the transactions themselves, so that no undo
// data is kept.
type Blocks interface {
	Block(id wire.BlockID) (*wire.Block, error)
}

// Ledger is the state of the chain at its head and the tree of headers above
// the final block. It is not safe for concurrent use.
type Ledger struct {
	genesis *wire.Genesis // constant
	blocks  Blocks
	supply  uint64

	accounts map[wire.Address]Account // at the head; no zero Account
	tree     map[wire.BlockID]*node   // the final block and its descendants
	best     []*node                  // the best chain, from the final block to the head
	invalid  invalidBlocks
	// unsettled is set while the tree may hold a better tip than the head, which
	// is so only after Restore.
	unsettled bool
	prepared  *Change // the latest, until it is applied

	turns turns
}

// New returns the ledger of a chain that has no block yet. It keeps g, which
// nobody may change afterwards.
func New(g *wire.Genesis, blocks Blocks) (*Ledger, error) {
	supply, err := supplyOf(g)
	if err != nil {
		return nil, err
	}
	final := &node{ref: genesisRef(g)}
	l := &Ledger{
		genesis:  g,
		blocks:   blocks,
		supply:   supply,
		accounts: make(map[wire.Address]Account, len(g.Allocations)),
		tree:     map[wire.BlockID]*node{final.ref.ID: final},
		best:     []*node{final},
		invalid:  newInvalidBlocks(),
		turns:    newTurns(),
	}
	for _, a := range g.Allocations {
		if a.Amount != 0 {
			l.accounts[a.Address] = Account{Balance: a.Amount}
		}
	}
	return l, nil
}

func genesisRef(g *wire.Genesis) Ref {
	return Ref{ID: g.ID().GenesisBlock(), Time: g.Time}
}

func supplyOf(g *wire.Genesis) (uint64, error) {
	if g == nil {
		return 0, errors.New("ledger: new: no genesis")
	}
	if err := g.Validate(); err != nil {
		return 0, fmt.Errorf("ledger: new: %w", err)
	}
	var supply, carry uint64
	for _, a := range g.Allocations {
		if supply, carry = bits.Add64(supply, a.Amount, 0); carry != 0 {
			return 0, errors.New("ledger: new: the allocations of genesis add up to more than 64 bits")
		}
	}
	return supply, nil
}

// Head returns the last block of the best chain, or genesis.
func (l *Ledger) Head() Ref { return l.head().ref }

// Final returns the highest final block, or genesis.
func (l *Ledger) Final() Ref { return l.final().ref }

// Account returns the account of a at the head, the zero Account if it was
// never used.
func (l *Ledger) Account(a wire.Address) Account { return l.accounts[a] }

// Has reports whether the block is the final one or stands above it, on the
// best chain or beside it.
func (l *Ledger) Has(id wire.BlockID) bool { return l.tree[id] != nil }

// Ref returns where the block stands, if Has(id).
func (l *Ledger) Ref(id wire.BlockID) (Ref, bool) {
	n := l.tree[id]
	if n == nil {
		return Ref{}, false
	}
	return n.ref, true
}

// AtHeight returns the block of the best chain at height h, if it is not below
// the final one and not above the head.
func (l *Ledger) AtHeight(h uint64) (Ref, bool) {
	first := l.final().ref.Height
	if h < first || h-first >= uint64(len(l.best)) {
		return Ref{}, false
	}
	return l.best[h-first].ref, true
}

// Supply returns the sum of all balances, which genesis fixes.
func (l *Ledger) Supply() uint64 { return l.supply }

func (l *Ledger) head() *node  { return l.best[len(l.best)-1] }
func (l *Ledger) final() *node { return l.best[0] }

var _ validation.Application = (*Ledger)(nil)
