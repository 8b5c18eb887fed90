package ledger_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

func TestNewRefuses(t *testing.T) {
	_, err := ledger.New(nil, nil)
	require.Error(t, err)
	g := testGenesis(1)
	g.Producers = nil
	_, err = ledger.New(g, nil)
	require.ErrorContains(t, err, "producers")
}

func TestRestoreRefusesDamage(t *testing.T) {
	g := testGenesis(3)
	c := newChain(t, g)
	blocks := run(g, 0, nil, 6, 1)
	c.mustAdd(blocks...)
	side := marked(g, 1, blocks[4], 9)
	c.mustAdd(side)
	require.Equal(t, uint64(4), c.ledger.Final().Height)

	cases := map[string]struct {
		damage func(s *ledger.Saved)
		want   ledger.Damage
	}{
		"a balance changed":      {func(s *ledger.Saved) { s.Accounts[0].Balance++ }, ledger.BadSupply},
		"an account lost":        {func(s *ledger.Saved) { s.Accounts = s.Accounts[1:] }, ledger.BadSupply},
		"an account twice":       {func(s *ledger.Saved) { s.Accounts = append(s.Accounts, s.Accounts[0]) }, ledger.BadSupply},
		"balances overflow":      {func(s *ledger.Saved) { s.Accounts[0].Balance, s.Accounts[1].Balance = 1<<63, 1<<63 }, ledger.BadSupply},
		"no accounts":            {func(s *ledger.Saved) { s.Accounts = nil }, ledger.BadSupply},
		"head of nothing":        {func(s *ledger.Saved) { s.Head.ID[0]++ }, ledger.BadHead},
		"head of wrong height":   {func(s *ledger.Saved) { s.Head.Height++ }, ledger.BadHead},
		"a header lost":          {func(s *ledger.Saved) { s.Tree = s.Tree[1:] }, ledger.BadHead},
		"another final":          {func(s *ledger.Saved) { s.Final.ID[0]++ }, ledger.BadHead},
		"final of another chain": {func(s *ledger.Saved) { s.Final = ledger.Ref{ID: wire.BlockID{1}} }, ledger.BadFinal},
		"a header breaks rules": {func(s *ledger.Saved) {
			s.Tree = append(s.Tree, marked(g, 2, blocks[5], 3).Header)
		}, ledger.BadTree},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := c.ledger.Save()
			s.Accounts, s.Tree = slices.Clone(s.Accounts), slices.Clone(s.Tree)
			tc.damage(&s)
			_, err := ledger.Restore(g, c.store, s)
			require.ErrorIs(t, err, tc.want)
			require.Equal(t, validation.Ignore, validation.Judge(err), "our disk blames nobody")
		})
	}
	other := testGenesis(3)
	other.Network = "another"
	_, err := ledger.Restore(other, c.store, newChain(t, g).ledger.Save())
	require.ErrorIs(t, err, ledger.BadFinal, "the accounts of another network")
}

// TestRestoreTakesAnyOrder: headers come as the store has them, dead ones too.
func TestRestoreTakesAnyOrder(t *testing.T) {
	g := testGenesis(3)
	c := newChain(t, g)
	blocks := run(g, 0, nil, 6, 1)
	c.mustAdd(blocks...)
	s := c.ledger.Save()
	dead := run(g, 1, blocks[1], 6, 3)
	tree := slices.Clone(s.Tree)
	slices.Reverse(tree)
	for _, b := range dead {
		tree = append(tree, b.Header)
	}
	tree = append(tree, tree[0])
	l, err := ledger.Restore(g, c.store, ledger.Saved{Accounts: s.Accounts, Head: s.Head, Final: s.Final, Tree: tree})
	require.NoError(t, err)
	require.Equal(t, s, l.Save())
	require.False(t, l.Has(dead[5].ID()))
}
