package ledger_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// grown is a block of a deep tree, with the nonces of the wallets after it.
type grown struct {
	block  *wire.Block
	nonces [wallets]uint64
}

// branches draws a tree of a few long branches that part at any depth, all of
// them valid. Four of nine producers make them, so that nothing becomes final.
// Each branch is in order.
func branches(rng *rand.Rand, g *wire.Genesis) [][]grown {
	var all []grown
	var tree [][]grown
	for range 2 + rng.IntN(3) {
		var parent grown // genesis
		if len(all) > 0 && rng.IntN(3) > 0 {
			parent = all[rng.IntN(len(all))]
		}
		var branch []grown
		for range 20 + rng.IntN(100) {
			after := uint64(0)
			if parent.block != nil {
				after = parent.block.Header.Body().Slot
			}
			slot := anySlot(rng, after)
			for slot%9 >= 4 {
				slot++
			}
			next := grown{nonces: parent.nonces}
			var txs []*wire.Transaction
			for range rng.IntN(3) {
				from := rng.IntN(wallets)
				to := []wire.Address{wallet(rng.IntN(wallets)), producer(0), {9, byte(rng.IntN(5))}}[rng.IntN(3)]
				txs = append(txs, pay(g, from, next.nonces[from], to, rng.Uint64N(500), 1+rng.Uint64N(100)))
				next.nonces[from]++
			}
			next.block = numbered(g, uint32(len(all)), parent.block, slot, txs...)
			all, branch, parent = append(all, next), append(branch, next), next
		}
		tree = append(tree, branch)
	}
	return tree
}

// R24: TestDeepForks: however deep the branches between which the head moves,
// the state is that of a new ledger which was given the winning chain alone,
// and the supply stays what it was.
func TestDeepForks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), rapid.Uint64().Draw(t, "and")))
		g := testGenesis(9)
		tree := branches(rng, g)
		c := newChain(t, g)
		given := make(map[wire.BlockID]*wire.Block)
		for len(tree) > 0 {
			// Whole stretches, so that the head comes back from far; a branch
			// whose parent is still to come waits.
			i := rng.IntN(len(tree))
			for range 1 + rng.IntN(30) {
				b := tree[i][0].block
				if h := b.Header.Body(); h.Height > 1 && given[h.Parent] == nil {
					break
				}
				require.NoError(t, c.addStored(b))
				given[b.ID()] = b
				if tree[i] = tree[i][1:]; len(tree[i]) == 0 {
					tree = append(tree[:i], tree[i+1:]...)
					break
				}
			}
			conserved(t, c.ledger)
			straight(t, c, given)
		}
	})
}

// conserved holds that all balances add up to the supply.
func conserved(t *rapid.T, l *ledger.Ledger) {
	sum := uint64(0)
	for _, s := range l.Save().Accounts {
		sum += s.Balance
	}
	require.Equal(t, uint64(wallets*wealth), sum)
	require.Equal(t, l.Supply(), sum)
}

// straight compares the ledger with one that never saw another chain.
func straight(t *rapid.T, c *chain, given map[wire.BlockID]*wire.Block) {
	fresh := newChain(t, c.g)
	for h := uint64(1); h <= c.ledger.Head().Height; h++ {
		ref, ok := c.ledger.AtHeight(h)
		require.True(t, ok)
		require.NoError(t, fresh.addStored(given[ref.ID]))
	}
	require.Equal(t, fresh.ledger.Head(), c.ledger.Head())
	require.Equal(t, fresh.ledger.Save().Accounts, c.ledger.Save().Accounts)
}
