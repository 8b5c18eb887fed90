package ledger

import (
	"bytes"
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Saved is what a ledger needs to go on after its process has ended.
type Saved struct {
	Accounts    []AccountState // at Head; in any order
	Head, Final Ref
	Tree        []*wire.Header // the headers above Final, in any order; dead branches may be among them
}

// Damage is a contradiction in what was saved.
type Damage string

// The kinds of damage. The error around one says which value is wrong.
const (
	BadSupply Damage = "the balances do not add up to the supply of genesis"
	BadFinal  Damage = "the final block is not of this chain"
	BadHead   Damage = "the head does not stand on the final block"
	BadTree   Damage = "a header breaks the rules"
)

// Error returns what is wrong.
func (d Damage) Error() string { return "ledger: " + string(d) }

// Save returns all that Restore needs, accounts by address and headers by
// height. What is remembered of invalid blocks is not part of it, and of turns
// only those of these headers.
func (l *Ledger) Save() Saved {
	s := Saved{Head: l.Head(), Final: l.Final()}
	for a, acct := range l.accounts {
		s.Accounts = append(s.Accounts, AccountState{Address: a, Account: acct})
	}
	sortStates(s.Accounts)
	for _, n := range l.tree {
		if n != l.final() {
			s.Tree = append(s.Tree, n.header)
		}
	}
	slices.SortFunc(s.Tree, func(a, b *wire.Header) int {
		x, y := a.ID(), b.ID()
		return cmp.Or(cmp.Compare(a.Body().Height, b.Body().Height), bytes.Compare(x[:], y[:]))
	})
	return s
}

// Restore returns the ledger that was saved. Headers of Tree that do not stand
// on the final block are left out. Blocks that were stored but never applied
// may make a better chain than Head; the next Prepare then moves there. An
// error wraps a [Damage].
func Restore(g *wire.Genesis, blocks Blocks, s Saved) (*Ledger, error) {
	l, err := New(g, blocks)
	if err != nil {
		return nil, err
	}
	if err := l.restoreAccounts(s.Accounts); err != nil {
		return nil, err
	}
	if genesis := genesisRef(g); s.Final.Height == 0 && s.Final != genesis {
		return nil, fmt.Errorf("%w: height 0 is %s, saved is %s", BadFinal, genesis.ID, s.Final.ID)
	}
	final := &node{ref: s.Final}
	l.tree = map[wire.BlockID]*node{s.Final.ID: final}
	if err := l.restoreTree(final, s.Tree); err != nil {
		return nil, err
	}
	head := l.tree[s.Head.ID]
	if head == nil || head.ref != s.Head {
		return nil, fmt.Errorf("%w: head %s at height %d", BadHead, s.Head.ID, s.Head.Height)
	}
	l.best = append([]*node{final}, chain(final, head)...)
	l.unsettled = true
	for _, n := range l.best[1:] {
		l.turns.remember(n.header)
	}
	for _, h := range s.Tree {
		l.turns.remember(h)
	}
	return l, nil
}

func (l *Ledger) restoreAccounts(states []AccountState) error {
	clear(l.accounts)
	var sum, carry uint64
	for _, s := range states {
		if _, twice := l.accounts[s.Address]; twice {
			return fmt.Errorf("%w: account %x twice", BadSupply, s.Address)
		}
		if sum, carry = bits.Add64(sum, s.Balance, 0); carry != 0 {
			return fmt.Errorf("%w: more than 64 bits", BadSupply)
		}
		if s.Account != (Account{}) {
			l.accounts[s.Address] = s.Account
		}
	}
	if sum != l.supply {
		return fmt.Errorf("%w: %d, want %d", BadSupply, sum, l.supply)
	}
	return nil
}

// restoreTree hangs the headers that stand on final into the tree.
func (l *Ledger) restoreTree(final *node, headers []*wire.Header) error {
	children := make(map[wire.BlockID][]*wire.Header)
	for _, h := range headers {
		parent := h.Body().Parent
		children[parent] = append(children[parent], h)
	}
	for rest := []*node{final}; len(rest) > 0; {
		parent := rest[0]
		rest = rest[1:]
		for _, h := range children[parent.ref.ID] {
			if l.tree[h.ID()] != nil {
				continue // given twice
			}
			if err := checkLink(h.Body(), parent.ref); err != nil {
				return fmt.Errorf("%w: %s: %v", BadTree, h.ID(), err) //nolint:errorlint // our disk is no peer's Fault
			}
			n := newNode(h, parent)
			l.insert(n)
			rest = append(rest, n)
		}
	}
	return nil
}
