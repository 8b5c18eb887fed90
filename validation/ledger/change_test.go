package ledger_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// run is a branch of n blocks on parent, in every step-th slot after its own.
func run(g *wire.Genesis, mark byte, parent *wire.Block, n int, step uint64) []*wire.Block {
	slot := uint64(0)
	if parent != nil {
		slot = parent.Header.Body().Slot
	}
	var blocks []*wire.Block
	for range n {
		slot += step
		parent = marked(g, mark, parent, slot)
		blocks = append(blocks, parent)
	}
	return blocks
}

func ids(blocks ...*wire.Block) []wire.BlockID {
	var out []wire.BlockID
	for _, b := range blocks {
		out = append(out, b.ID())
	}
	return out
}

func idsOf(refs []ledger.Ref) []wire.BlockID {
	var out []wire.BlockID
	for _, r := range refs {
		out = append(out, r.ID)
	}
	return out
}

func TestPaymentsAndFees(t *testing.T) {
	g := testGenesis(2)
	c := newChain(t, g)
	stranger := wire.Address{9}
	txs := []*wire.Transaction{
		pay(g, 0, 0, stranger, 100, 500),
		pay(g, 0, 1, wallet(0), 7, 500), // to itself
		pay(g, 1, 0, wire.Address{}, 0, 500),
		pay(g, 1, 1, wallet(2), wealth-1_000, 500), // everything
	}
	h := headerOn(g, nil, 1, txs...)
	h.FeeRecipient = wallet(3)
	change := c.mustAdd(&wire.Block{Header: sign(g, h), Txs: txs})

	require.Equal(t, ledger.Account{Balance: wealth - 1_100, Nonce: 2}, c.ledger.Account(wallet(0)))
	require.Equal(t, ledger.Account{Balance: 0, Nonce: 2}, c.ledger.Account(wallet(1)))
	require.Equal(t, ledger.Account{Balance: 2*wealth - 1_000}, c.ledger.Account(wallet(2)))
	require.Equal(t, ledger.Account{Balance: wealth + 2_000}, c.ledger.Account(wallet(3)))
	require.Equal(t, ledger.Account{Balance: 100}, c.ledger.Account(stranger))
	require.Equal(t, ledger.Account{}, c.ledger.Account(producer(0)))
	require.Len(t, change.Accounts, 5)
	require.Equal(t, change.Block, change.Head)
	require.Empty(t, change.RolledBack)

	// Another block at the same height in an earlier slot would take its place;
	// this one is later, so nothing happens until it is built upon.
	rival := blockOn(g, nil, 2)
	change = c.mustAdd(rival)
	require.Empty(t, change.Applied)
	require.Empty(t, change.Accounts)
	change = c.mustAdd(blockOn(g, rival, 4))
	require.Contains(t, change.Accounts, ledger.AccountState{Address: stranger}, "an account that is gone is told as zero")
	require.Equal(t, ledger.Account{Balance: wealth}, c.ledger.Account(wallet(1)))
}

func TestABlockAppliesWholeOrNot(t *testing.T) {
	g := testGenesis(2)
	cases := map[string][]*wire.Transaction{
		"stale nonce":    {pay(g, 0, 0, wallet(1), 1, 500), pay(g, 0, 0, wallet(1), 2, 500)},
		"nonce too far":  {pay(g, 0, 0, wallet(1), 1, 500), pay(g, 0, 2, wallet(1), 1, 500)},
		"overdraft":      {pay(g, 0, 0, wallet(1), 1, 500), pay(g, 2, 0, wallet(1), wealth, 500)},
		"overdraft by 1": {pay(g, 0, 0, wallet(1), wealth-499, 500)},
		"order matters":  {pay(g, 0, 1, wallet(1), 1, 500), pay(g, 0, 0, wallet(1), 1, 500)},
	}
	for name, txs := range cases {
		t.Run(name, func(t *testing.T) {
			c := newChain(t, g)
			bad := blockOn(g, nil, 1, txs...)
			_, err := c.add(bad)
			require.ErrorIs(t, err, validation.BadBlock)
			for _, r := range validation.Refusals() {
				require.NotErrorIs(t, err, r, "the block's defect is a Fault and nothing else")
			}
			require.Zero(t, c.ledger.Head().Height)
			require.False(t, c.ledger.Has(bad.ID()))

			_, err = c.add(bad)
			require.ErrorIs(t, err, validation.KnownInvalid)
			_, err = c.add(blockOn(g, bad, 2))
			require.ErrorIs(t, err, validation.KnownInvalid, "its child is not worth asking for more")
			c.mustAdd(blockOn(g, nil, 2))
		})
	}
}

// R20: slots of a producer that is gone stay empty, and the chain goes on.
func TestAbsentProducer(t *testing.T) {
	g := testGenesis(3)
	c := newChain(t, g)
	var parent *wire.Block
	for slot := uint64(1); slot <= 30; slot++ {
		if g.ProducerOf(1, slot) == producer(2) {
			continue
		}
		b := blockOn(g, parent, slot)
		c.mustAdd(b)
		parent = b
	}
	require.Equal(t, uint64(20), c.ledger.Head().Height)
	require.Equal(t, uint64(30), c.ledger.Head().Slot)
	require.Equal(t, uint64(18), c.ledger.Final().Height, "two of three are more than half")
}

// TestSilentMajority: where half of the producers are gone, the chain goes on
// and nothing becomes final until they are back.
func TestSilentMajority(t *testing.T) {
	g := testGenesis(2)
	c := newChain(t, g)
	alone := run(g, 0, nil, 20, 2)
	c.mustAdd(alone...)
	require.Equal(t, uint64(20), c.ledger.Head().Height)
	require.Zero(t, c.ledger.Final().Height)

	back := blockOn(g, alone[19], 41)
	change := c.mustAdd(back)
	require.Equal(t, uint64(19), change.Final.Height, "on block 20 only the one has built")
	require.Len(t, change.NewlyFinal, 19)
}

func TestDeepReorganisation(t *testing.T) {
	const depth = 50
	g := testGenesis(2)
	c := newChain(t, g)
	var low, high []*wire.Block
	var parent *wire.Block
	for i := range depth { // one producer alone
		parent = blockOn(g, parent, uint64(2*i+2), pay(g, i%wallets, uint64(i/wallets), wire.Address{9, byte(i)}, 10, 1_000))
		low = append(low, parent)
	}
	parent = nil
	for i := range depth + 1 { // the other alone
		parent = blockOn(g, parent, uint64(2*i+3), pay(g, (i+1)%wallets, uint64(i/wallets), wire.Address{8, byte(i)}, 20, 2_000))
		high = append(high, parent)
	}
	c.mustAdd(low...)
	for _, b := range high[:depth] { // as long at most, and later where they part
		require.Empty(t, c.mustAdd(b).Applied)
	}
	require.Equal(t, low[depth-1].ID(), c.ledger.Head().ID)
	require.Zero(t, c.ledger.Final().Height)

	change := c.mustAdd(high[depth])
	rolledBack := idsOf(change.RolledBack)
	slices.Reverse(rolledBack)
	require.Equal(t, ids(low...), rolledBack)
	require.Equal(t, ids(high...), idsOf(change.Applied))
	require.Equal(t, ledger.Account{}, c.ledger.Account(wire.Address{9, 7}))
	require.Equal(t, ledger.Account{Balance: 20}, c.ledger.Account(wire.Address{8, 7}))
	require.Equal(t, uint64(2_000*(depth+1)), c.ledger.Account(producer(1)).Balance)
	require.Zero(t, c.ledger.Account(producer(0)).Balance)

	straight := newChain(t, g)
	straight.mustAdd(high...)
	require.Equal(t, straight.ledger.Save().Accounts, c.ledger.Save().Accounts)
}

// R25: a longer chain that would undo a final block is refused.
func TestFinalIsNeverRolledBack(t *testing.T) {
	g := testGenesis(2)
	c := newChain(t, g)
	c.mustAdd(run(g, 0, nil, 10, 1)...)
	final := c.ledger.Final()
	require.Equal(t, uint64(8), final.Height)

	longer := run(g, 1, nil, 30, 1)
	for _, b := range longer[:8] {
		_, err := c.add(b)
		require.ErrorIs(t, err, validation.BelowFinal)
	}
	for _, b := range longer[8:] {
		_, err := c.add(b)
		require.ErrorIs(t, err, validation.UnknownParent)
	}
	require.Equal(t, final, c.ledger.Final())
	require.Equal(t, uint64(10), c.ledger.Head().Height)
	require.False(t, c.ledger.Has(g.ID().GenesisBlock()), "what final blocks stand on is the store's")
}

// TestFinalityForgetsSideBranches: a branch beside a final block is dead, one
// on it lives.
func TestFinalityForgetsSideBranches(t *testing.T) {
	g := testGenesis(3)
	c := newChain(t, g)
	main := run(g, 0, nil, 4, 3) // one producer, so nothing is final
	dead := run(g, 1, main[0], 2, 3)
	alive := run(g, 2, main[3], 1, 4)
	c.mustAdd(main...)
	c.mustAdd(dead...)
	c.mustAdd(blockOn(g, main[3], 13))
	c.mustAdd(alive...)
	require.Equal(t, uint64(3), c.ledger.Final().Height, "two of three on block 3")
	require.False(t, c.ledger.Has(dead[0].ID()))
	require.False(t, c.ledger.Has(dead[1].ID()))
	require.True(t, c.ledger.Has(alive[0].ID()))
	_, err := c.add(marked(g, 3, dead[1], 14))
	require.ErrorIs(t, err, validation.UnknownParent)
	c.mustAdd(blockOn(g, alive[0], 17))
}

// R24: most blocks, then the lower slot at the first difference, then the lower id.
func TestForkChoice(t *testing.T) {
	g := testGenesis(4)
	late := blockOn(g, nil, 3)
	early := blockOn(g, nil, 2)
	c := newChain(t, g)
	c.mustAdd(late)
	require.Len(t, c.mustAdd(early).RolledBack, 1, "as long, and the lower slot where they part")

	// A later slot further up does not count, only where they first part.
	upLate, upEarly := blockOn(g, late, 4), blockOn(g, early, 7)
	c.mustAdd(upEarly)
	require.Empty(t, c.mustAdd(upLate).Applied)
	require.Equal(t, upEarly.ID(), c.ledger.Head().ID)
	c.mustAdd(blockOn(g, upLate, 8))
	require.Equal(t, uint64(8), c.ledger.Head().Slot, "the longer chain wins")

	// The same slot: the lower id, in whatever order they come.
	x, y := marked(g, 1, nil, 2), marked(g, 2, nil, 2)
	lower := min(x.ID().String(), y.ID().String())
	for _, order := range [][]*wire.Block{{x, y}, {y, x}} {
		c := newChain(t, g)
		c.mustAdd(order...)
		require.Equal(t, lower, c.ledger.Head().ID.String())
	}
}

// TestInvalidSideBranch: a side branch is applied only when it becomes best.
// Then what is wrong with it shows, and the chain stays where it was.
func TestInvalidSideBranch(t *testing.T) {
	g := testGenesis(4)
	c := newChain(t, g)
	main := run(g, 0, nil, 3, 1)
	c.mustAdd(main[:2]...)

	fine := marked(g, 1, main[0], 4) // valid, but later than main[1]
	bad := marked(g, 1, fine, 8, pay(g, 0, 5, wallet(1), 1, 500))
	twig := marked(g, 2, bad, 9)
	other := marked(g, 2, fine, 12)
	c.mustAdd(fine)
	c.mustAdd(main[2])
	c.mustAdd(bad)
	require.True(t, c.ledger.Has(bad.ID()), "as long as the head, so not looked at")

	_, err := c.add(twig)
	require.ErrorIs(t, err, validation.KnownInvalid, "the block itself may be fine")
	require.Equal(t, validation.Ignore, validation.Judge(err))
	require.False(t, c.ledger.Has(bad.ID()))
	require.True(t, c.ledger.Has(fine.ID()))
	require.Equal(t, main[2].ID(), c.ledger.Head().ID)
	_, err = c.add(marked(g, 3, twig, 10))
	require.ErrorIs(t, err, validation.KnownInvalid)

	c.mustAdd(other)
	c.mustAdd(blockOn(g, other, 13))
	require.Equal(t, uint64(13), c.ledger.Head().Slot, "the sound part of the branch can still win")
}

// TestFallToTheNextBest: after a restart the best stored branch is invalid and
// the second best is not.
func TestFallToTheNextBest(t *testing.T) {
	g := testGenesis(4)
	c := newChain(t, g)
	main := run(g, 0, nil, 1, 4)
	c.mustAdd(main...)
	branch := run(g, 1, nil, 2, 5)
	bad := marked(g, 1, branch[1], 11, pay(g, 0, 5, wallet(1), 1, 500))
	above := marked(g, 1, bad, 12)
	for _, b := range append(slices.Clone(branch), bad, above) {
		c.store.blocks[b.ID()] = b // stored, and then the process ended
	}
	c.restart()
	require.Equal(t, main[0].ID(), c.ledger.Head().ID)

	change := c.mustAdd(marked(g, 2, nil, 6))
	require.Equal(t, uint64(6), change.Block.Slot)
	require.Equal(t, branch[1].ID(), change.Head.ID)
	require.Equal(t, ids(main...), idsOf(change.RolledBack))
	require.Equal(t, ids(branch...), idsOf(change.Applied))
	require.ElementsMatch(t, ids(bad, above), change.Invalid)
	_, err := c.add(above)
	require.ErrorIs(t, err, validation.KnownInvalid)
	_, err = c.add(branch[0])
	require.ErrorIs(t, err, validation.AlreadyKnown)
}

// TestUnreadableBody: our disk's failure concludes nothing.
func TestUnreadableBody(t *testing.T) {
	g := testGenesis(4)
	c := newChain(t, g)
	c.mustAdd(run(g, 0, nil, 2, 4)...)
	side := run(g, 1, nil, 3, 5)
	c.mustAdd(side[:2]...)

	c.store.broken = true
	_, err := c.add(side[2])
	require.ErrorIs(t, err, validation.Unavailable)
	require.Equal(t, validation.Ignore, validation.Judge(err))
	require.True(t, c.ledger.Has(side[1].ID()))
	c.store.broken = false

	wrong := c.store.blocks[side[0].ID()]
	c.store.blocks[side[0].ID()] = side[1]
	_, err = c.add(side[2])
	require.ErrorIs(t, err, validation.Unavailable, "another block than asked for")
	c.store.blocks[side[0].ID()] = wrong

	require.Len(t, c.mustAdd(side[2]).Applied, 3)
}

func TestPrepareDecidesAndApplyInstalls(t *testing.T) {
	g := testGenesis(2)
	c := newChain(t, g)
	b, err := c.check(blockOn(g, nil, 1))
	require.NoError(t, err)
	first, err := c.ledger.Prepare(b)
	require.NoError(t, err)
	second, err := c.ledger.Prepare(b)
	require.NoError(t, err)
	require.Equal(t, first.Head, second.Head)
	require.Zero(t, c.ledger.Head().Height)

	require.Panics(t, func() { c.ledger.Apply(first) }, "not the latest")
	c.ledger.Apply(second)
	require.Panics(t, func() { c.ledger.Apply(second) }, "twice")
	require.Panics(t, func() { c.ledger.Apply(nil) })
	_, err = c.ledger.Prepare(b)
	require.ErrorIs(t, err, validation.AlreadyKnown)
	_, err = c.ledger.Prepare(validation.CheckedBlock{})
	require.Error(t, err)
}

// R21: TestProducersChangeByHeight: turns and finality follow the set of each height.
func TestProducersChangeByHeight(t *testing.T) {
	g := testGenesis(1)
	g.Producers = append(g.Producers, wire.ProducerSet{Height: 3, Producers: []wire.Address{producer(1), producer(2), producer(3)}})
	c := newChain(t, g)
	blocks := run(g, 0, nil, 6, 1)
	c.mustAdd(blocks[:2]...)
	require.Equal(t, uint64(1), c.ledger.Final().Height, "one of one has built on block 1")
	c.mustAdd(blocks[2:4]...)
	require.Equal(t, uint64(1), c.ledger.Final().Height, "the old set will not build on block 2 any more")
	c.mustAdd(blocks[4])
	require.Equal(t, uint64(3), c.ledger.Final().Height, "two of three of the new set on block 3")

	// Neither may produce where the other is appointed.
	h := headerOn(g, blocks[4], 6)
	h.Producer = producer(0)
	_, err := c.add(&wire.Block{Header: sign(g, h)})
	require.ErrorIs(t, err, validation.BadTurn)
}
