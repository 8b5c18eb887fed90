package ledger_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// naive is the ledger by definition: it keeps every block it was given and
// computes everything from genesis whenever it is asked.
type naive struct {
	g     *wire.Genesis
	given map[wire.BlockID]*wire.Block
	final []*wire.Block // the final part of the best chain, from height 1
}

// chainOf returns the blocks from height 1 to b, if all were given.
func (m *naive) chainOf(b *wire.Block) ([]*wire.Block, bool) {
	var blocks []*wire.Block
	for b.Header.Body().Height > 1 {
		blocks = append([]*wire.Block{b}, blocks...)
		if b = m.given[b.Header.Body().Parent]; b == nil {
			return nil, false
		}
	}
	return append([]*wire.Block{b}, blocks...), true
}

// replay computes the accounts after a chain, if it is valid.
func (m *naive) replay(blocks []*wire.Block) (map[wire.Address]ledger.Account, bool) {
	accounts := make(map[wire.Address]ledger.Account)
	for _, a := range m.g.Allocations {
		accounts[a.Address] = ledger.Account{Balance: a.Amount}
	}
	for _, b := range blocks {
		for _, tx := range b.Txs {
			body, err := wire.DecodeTxBody(tx.Body())
			if err != nil {
				return nil, false
			}
			from := accounts[body.Sender]
			if from.Nonce != body.Nonce || from.Balance < body.Amount+body.Fee {
				return nil, false
			}
			from.Nonce++
			from.Balance -= body.Amount + body.Fee
			accounts[body.Sender] = from
			to := accounts[body.To]
			to.Balance += body.Amount
			accounts[body.To] = to
			miner := accounts[b.Header.Body().FeeRecipient]
			miner.Balance += body.Fee
			accounts[b.Header.Body().FeeRecipient] = miner
		}
	}
	for a, acct := range accounts {
		if acct == (ledger.Account{}) {
			delete(accounts, a)
		}
	}
	return accounts, true
}

// eligible returns the chain of b if it is whole, valid and through what is
// final.
func (m *naive) eligible(b *wire.Block) ([]*wire.Block, bool) {
	blocks, whole := m.chainOf(b)
	if !whole || len(blocks) < len(m.final) {
		return nil, false
	}
	for i, f := range m.final {
		if blocks[i].ID() != f.ID() {
			return nil, false
		}
	}
	_, valid := m.replay(blocks)
	return blocks, valid
}

// takes reports whether b is valid where it stands and not below what is final.
func (m *naive) takes(b *wire.Block) bool {
	if _, given := m.given[b.ID()]; given || int(b.Header.Body().Height) <= len(m.final) {
		return false
	}
	_, ok := m.eligible(b)
	return ok
}

// best returns the best chain by comparing every chain with every other.
func (m *naive) best() []*wire.Block {
	best := m.final
	for _, b := range m.given {
		if blocks, ok := m.eligible(b); ok && better(blocks, best) {
			best = blocks
		}
	}
	return best
}

func better(a, b []*wire.Block) bool {
	if len(a) != len(b) {
		return len(a) > len(b)
	}
	for i := range a {
		x, y := a[i].ID(), b[i].ID()
		if x == y {
			continue
		}
		if s, t := a[i].Header.Body().Slot, b[i].Header.Body().Slot; s != t {
			return s < t
		}
		return bytes.Compare(x[:], y[:]) < 0
	}
	return false
}

// give takes a block and returns the best chain after it.
func (m *naive) give(b *wire.Block) []*wire.Block {
	m.given[b.ID()] = b
	best := m.best()
	for i := len(best); i > len(m.final); i-- {
		height := best[i-1].Header.Body().Height
		votes := 0
		set := m.g.ProducersAt(height)
		for _, p := range set {
			for _, above := range best[i:] {
				if above.Header.Body().Producer == p {
					votes++
					break
				}
			}
		}
		if 2*votes > len(set) {
			m.final = best[:i]
			break
		}
	}
	return best
}

// world draws the blocks of one test: forks, empty slots, equivocations, and
// transactions of which some are not valid where they stand. It has its own
// source of chance, since rapid prefers small numbers so much that no branch
// would grow; rapid prints its seed.
type world struct {
	rng   *rand.Rand
	g     *wire.Genesis
	slots func(rng *rand.Rand, after uint64) uint64 // the slot of a block on one of slot after
}

func newWorld(t *rapid.T, producers int) *world {
	return &world{
		rng:   rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)),
		g:     testGenesis(producers),
		slots: anySlot,
	}
}

func anySlot(rng *rand.Rand, after uint64) uint64 { return after + 1 + rng.Uint64N(3) }

// grow returns n blocks, each on one before it.
func (w *world) grow(n int) []*wire.Block {
	all := &naive{g: w.g, given: make(map[wire.BlockID]*wire.Block)}
	var blocks []*wire.Block
	for i := range n {
		var parent *wire.Block
		switch pick := w.rng.IntN(10); {
		case len(blocks) == 0:
		case pick < 5:
			parent = blocks[len(blocks)-1]
		case pick < 9:
			parent = blocks[max(0, len(blocks)-1-w.rng.IntN(6))]
		default:
			parent = blocks[w.rng.IntN(len(blocks))]
		}
		slot := uint64(0)
		accounts, _ := all.replay(nil)
		if parent != nil {
			slot = parent.Header.Body().Slot
			chain, _ := all.chainOf(parent)
			if after, valid := all.replay(chain); valid {
				accounts = after
			}
		}
		b := marked(w.g, byte(i), parent, w.slots(w.rng, slot), w.transactions(accounts)...)
		blocks = append(blocks, b)
		all.given[b.ID()] = b
	}
	return blocks
}

// transactions returns some for a block on a chain with these accounts.
func (w *world) transactions(accounts map[wire.Address]ledger.Account) []*wire.Transaction {
	var txs []*wire.Transaction
	next := make(map[int]uint64)
	for range w.rng.IntN(4) {
		from := w.rng.IntN(wallets)
		acct := accounts[wallet(from)]
		nonce := acct.Nonce + next[from]
		next[from]++
		amount := w.rng.Uint64N(acct.Balance/8 + 1)
		switch w.rng.IntN(60) {
		case 0:
			nonce++
		case 1:
			nonce -= min(nonce, 1)
		case 2:
			amount = acct.Balance
		}
		to := []wire.Address{wallet(0), wallet(1), wallet(from), producer(0), {9, byte(from)}}[w.rng.IntN(5)]
		tx := pay(w.g, from, nonce, to, amount, 1_000)
		if !slices.ContainsFunc(txs, func(other *wire.Transaction) bool { return other.ID() == tx.ID() }) {
			txs = append(txs, tx)
		}
	}
	return txs
}

// deliver gives all blocks to c in a random order; those whose parent is unknown
// come again after each that is taken. seen is called for each block that was
// judged for good.
func (w *world) deliver(c *chain, blocks []*wire.Block, seen func(b *wire.Block, err error)) {
	// Mostly in order, with some blocks long before or after their turn.
	waiting := slices.Clone(blocks)
	for i := range waiting {
		if j := i + w.rng.IntN(1+w.rng.IntN(len(waiting))); j < len(waiting) {
			waiting[i], waiting[j] = waiting[j], waiting[i]
		}
	}
	for progress := true; progress; {
		progress = false
		for i := 0; i < len(waiting); i++ {
			if h := waiting[i].Header.Body(); w.rng.IntN(20) == 0 && c.ledger.Has(h.Parent) && h.Height > c.final.Height {
				c.crash(waiting[i])
			}
			_, err := c.add(waiting[i])
			if validation.RuleBroken(err) == string(validation.UnknownParent) {
				continue
			}
			b := waiting[i]
			waiting = append(waiting[:i:i], waiting[i+1:]...)
			i--
			progress = true
			seen(b, err)
		}
	}
}

// TestAgainstNaive: whatever is delivered in whatever order, head, accounts and
// final prefix are those of the definition, also over restarts.
func TestAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 40).Draw(t, "most")
		w := newWorld(t, rapid.SampledFrom([]int{7, 5, 4, 3, 2, 1}).Draw(t, "producers"))
		if w.rng.IntN(2) == 0 {
			w.g.Producers = append(w.g.Producers, wire.ProducerSet{Height: 4, Producers: []wire.Address{producer(1), producer(8), producer(3)}})
		}
		c := newChain(t, w.g)
		m := &naive{g: w.g, given: make(map[wire.BlockID]*wire.Block)}
		w.deliver(c, w.grow(min(most, 1+w.rng.IntN(40))), func(b *wire.Block, err error) {
			if m.takes(b) && !errors.Is(err, validation.AlreadyKnown) { // known after a crash
				require.NoError(t, err, "a block that the definition takes was refused")
			}
			best := m.give(b)
			agree(t, c, m, best)
			if w.rng.IntN(10) == 0 {
				c.restart()
				agree(t, c, m, best)
			}
		})
	})
}

func agree(t *rapid.T, c *chain, m *naive, best []*wire.Block) {
	accounts, valid := m.replay(best)
	require.True(t, valid)
	require.Equal(t, len(best), int(c.ledger.Head().Height))
	require.Len(t, c.path, len(best)+1)
	for i, b := range best {
		require.Equal(t, b.ID(), c.path[i+1].ID)
	}
	require.Equal(t, len(m.final), int(c.ledger.Final().Height))
	got := make(map[wire.Address]ledger.Account)
	for _, s := range c.ledger.Save().Accounts {
		got[s.Address] = s.Account
	}
	require.Equal(t, accounts, got)
}

// TestOrderDoesNotMatter: below finality, two nodes that know the same blocks
// have the same head.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, 9)
		// Only four of nine ever produce, so that nothing becomes final.
		w.slots = func(rng *rand.Rand, after uint64) uint64 {
			for slot := anySlot(rng, after); ; slot++ {
				if slot%9 < 4 {
					return slot
				}
			}
		}
		blocks := w.grow(rapid.IntRange(1, 40).Draw(t, "blocks"))
		a, b := newChain(t, w.g), newChain(t, w.g)
		w.deliver(a, blocks, func(*wire.Block, error) {})
		w.deliver(b, blocks, func(*wire.Block, error) {})
		require.Zero(t, a.ledger.Final().Height)
		require.Equal(t, a.ledger.Head(), b.ledger.Head())
		require.Equal(t, a.ledger.Save().Accounts, b.ledger.Save().Accounts)
	})
}

// TestRestoreIsSave: a restored ledger is the one that was saved.
func TestRestoreIsSave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, rapid.IntRange(1, 4).Draw(t, "producers"))
		c := newChain(t, w.g)
		w.deliver(c, w.grow(rapid.IntRange(1, 40).Draw(t, "blocks")), func(*wire.Block, error) {})
		saved := c.ledger.Save()
		again, err := ledger.Restore(w.g, c.store, saved)
		require.NoError(t, err)
		require.Equal(t, saved, again.Save())
	})
}
