package ledger

import (
	"errors"
	"fmt"
	"slices"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Change is what a new block changes: what must be made durable before Apply,
// and what the rest of the node wants to know.
type Change struct {
	Block       Ref            // the block that was prepared
	RolledBack  []Ref          // blocks that leave the best chain, newest first
	Applied     []Ref          // blocks that join it, oldest first; the last is the new head. Empty if the head stays
	Head, Final Ref            // after the change
	NewlyFinal  []Ref          // oldest first
	Accounts    []AccountState // the values after, of accounts that differ, by address; the zero Account is to be deleted
	Invalid     []wire.BlockID // side blocks that were found invalid on the way

	block *node // to insert, nil if it is in the tree already
	tip   *node // the new head
	final *node
}

// Prepare decides what a block changes. It installs nothing (only which blocks
// are invalid is remembered at once), so that the caller can make the Change
// durable first. Preparing a block again gives the same answer as long as
// nothing is applied in between.
//
// Errors: the Refusals UnknownParent, BelowFinal, AlreadyKnown, KnownInvalid
// and Unavailable (a body that Blocks should have could not be read; nothing is
// concluded), and the Fault BadBlock, which is the producer's: the block breaks
// a header rule or a transaction of it fails. A block that does not make a
// better chain is not applied, so that its defects show only if it ever does.
func (l *Ledger) Prepare(b validation.CheckedBlock) (*Change, error) {
	l.prepared = nil
	if b.IsZero() {
		return nil, errors.New("ledger: prepare: the block is not checked")
	}
	candidate, known, err := l.place(b)
	if err != nil {
		return nil, err
	}
	c := &Change{Block: candidate.ref}
	if !known {
		c.block = candidate
	}
	d, err := l.choose(c, b.Block(), candidate)
	if err != nil {
		return nil, err
	}
	if known && c.tip == l.head() {
		return nil, fmt.Errorf("%w: block %s", validation.AlreadyKnown, candidate.ref.ID)
	}
	c.final = l.finalOn(c.tip)
	c.Head, c.Final = c.tip.ref, c.final.ref
	c.NewlyFinal = l.newlyFinal(c.final)
	c.Accounts = d.states()
	l.prepared = c
	return c, nil
}

// Apply installs what the latest Prepare decided. Any other Change is a bug of
// the caller that would corrupt the ledger, so Apply panics.
func (l *Ledger) Apply(c *Change) {
	if c == nil || c != l.prepared {
		panic("ledger: Apply of a Change that is not the latest Prepare's")
	}
	l.prepared = nil
	if c.block != nil {
		l.insert(c.block)
	}
	for _, s := range c.Accounts {
		if s.Account == (Account{}) {
			delete(l.accounts, s.Address)
			continue
		}
		l.accounts[s.Address] = s.Account
	}
	l.best = append(l.best[:len(l.best)-len(c.RolledBack)], chain(forkOf(l.head(), c.tip), c.tip)...)
	l.finalize(int(c.final.ref.Height - l.final().ref.Height))
	if c.block != nil && len(l.tree)-len(l.best) > MaxSide {
		l.evict(c.block)
	}
	l.unsettled = false
}

// place finds the block's place in the tree without inserting it.
func (l *Ledger) place(b validation.CheckedBlock) (n *node, known bool, err error) {
	id, h := b.ID(), b.Header().Body()
	if n := l.tree[id]; n != nil {
		return n, true, nil
	}
	if l.invalid.has(id) {
		return nil, false, fmt.Errorf("%w: block %s", validation.KnownInvalid, id)
	}
	if l.invalid.has(h.Parent) {
		l.invalid.add(id)
		return nil, false, fmt.Errorf("%w: block %s builds on %s", validation.KnownInvalid, id, h.Parent)
	}
	parent := l.tree[h.Parent]
	if parent == nil {
		return nil, false, l.noParent(h)
	}
	if err := checkLink(h, parent.ref); err != nil {
		l.invalid.add(id)
		return nil, false, fmt.Errorf("%w: block %s: %v", validation.BadBlock, id, err) //nolint:errorlint // one Fault only
	}
	return newNode(b.Header().Header(), parent), false, nil
}

// Path lists the blocks whose bodies Prepare asks for if a child of parent takes the lead: those of
// the best chain that it leaves behind, and those that it stands on. It is empty where the child
// follows the head, or cannot lead. Who holds a lock on the ledger may read them before.
func (l *Ledger) Path(parent wire.BlockID) (ids []wire.BlockID) {
	from := l.tree[parent]
	if from == nil || from == l.head() || from.ref.Height+1 < l.head().ref.Height {
		return nil
	}
	fork := forkOf(l.head(), from)
	for _, tip := range []*node{l.head(), from} {
		for n := tip; n != fork; n = n.parent {
			ids = append(ids, n.ref.ID)
		}
	}
	return ids
}

// choose finds the best tip whose chain is valid and carries the accounts
// there. It fails if candidate turns out invalid.
func (l *Ledger) choose(c *Change, body *wire.Block, candidate *node) (*diff, error) {
	for {
		c.tip = l.bestTip(candidate)
		d := newDiff(l.accounts)
		if c.tip == l.head() {
			return d, nil
		}
		bad, err := l.move(d, c, body)
		if err == nil {
			return d, nil
		}
		if bad == nil {
			return nil, err
		}
		c.RolledBack, c.Applied = nil, nil
		if descends(candidate, bad) {
			l.markInvalid(c, bad, candidate)
			return nil, blamed(bad, candidate, err)
		}
		l.markInvalid(c, bad, nil)
	}
}

// bestTip returns the best of the head, the candidate and, while the ledger is
// unsettled, every block of the tree.
func (l *Ledger) bestTip(candidate *node) *node {
	best := l.head()
	if compareChains(candidate, best) < 0 {
		best = candidate
	}
	if l.unsettled {
		for _, n := range l.tree {
			if compareChains(n, best) < 0 {
				best = n
			}
		}
	}
	return best
}

// move rolls d back to where the chain of c.tip leaves the best chain, and
// forward to c.tip. If a block on the way is invalid, it is returned with the
// reason; an error without a block means that a body could not be read.
func (l *Ledger) move(d *diff, c *Change, body *wire.Block) (bad *node, err error) {
	fork := forkOf(l.head(), c.tip)
	for n := l.head(); n != fork; n = n.parent {
		b, err := l.body(n, nil)
		if err == nil {
			err = revertBlock(d, b)
		}
		if err != nil {
			return nil, unavailable(n, err)
		}
		c.RolledBack = append(c.RolledBack, n.ref)
	}
	for _, n := range chain(fork, c.tip) {
		b, err := l.body(n, body)
		if err != nil {
			return nil, unavailable(n, err)
		}
		if err := applyBlock(d, b); err != nil {
			return n, err
		}
		c.Applied = append(c.Applied, n.ref)
	}
	return nil, nil
}

// body returns the body of n; at hand is one that Blocks need not be asked for.
func (l *Ledger) body(n *node, atHand *wire.Block) (*wire.Block, error) {
	if atHand != nil && atHand.ID() == n.ref.ID {
		return atHand, nil
	}
	b, err := l.blocks.Block(n.ref.ID)
	if err == nil && (b == nil || b.ID() != n.ref.ID) {
		err = errors.New("another block was returned")
	}
	return b, err
}

func applyBlock(d *diff, b *wire.Block) error {
	feeTo := b.Header.Body().FeeRecipient
	for i, tx := range b.Txs {
		t, _, err := readTransfer(tx)
		if err == nil {
			err = d.apply(t, feeTo)
		}
		if err != nil {
			return fmt.Errorf("transaction %d (%s): %w", i, tx.ID(), err)
		}
	}
	return nil
}

func revertBlock(d *diff, b *wire.Block) error {
	feeTo := b.Header.Body().FeeRecipient
	for _, tx := range slices.Backward(b.Txs) {
		t, _, err := readTransfer(tx)
		if err != nil {
			return err
		}
		d.revert(t, feeTo)
	}
	return nil
}

func unavailable(n *node, err error) error {
	return fmt.Errorf("%w: body of block %s: %v", validation.Unavailable, n.ref.ID, err) //nolint:errorlint // our disk is no peer's Fault
}

// markInvalid forgets bad and what stands on it, and candidate too if given.
func (l *Ledger) markInvalid(c *Change, bad, candidate *node) {
	ids := []wire.BlockID{}
	if l.tree[bad.ref.ID] != nil {
		ids = l.remove(bad)
	}
	if candidate != nil && l.tree[candidate.ref.ID] == nil && !slices.Contains(ids, candidate.ref.ID) {
		ids = append(ids, candidate.ref.ID)
	}
	for _, id := range ids {
		l.invalid.add(id)
	}
	c.Invalid = append(c.Invalid, ids...)
}

// descends reports whether n is bad or stands on it.
func descends(n, bad *node) bool {
	for n != nil && n.ref.Height > bad.ref.Height {
		n = n.parent
	}
	return n == bad
}

// blamed names what is wrong with candidate: itself, or what it stands on.
func blamed(bad, candidate *node, err error) error {
	if bad == candidate {
		return fmt.Errorf("%w: block %s: %v", validation.BadBlock, bad.ref.ID, err) //nolint:errorlint // one Fault only
	}
	return fmt.Errorf("%w: block %s builds on %s: %v", validation.KnownInvalid, candidate.ref.ID, bad.ref.ID, err) //nolint:errorlint // no Fault of this block
}
