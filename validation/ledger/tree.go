package ledger

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/grapevine-p2p/grapevine/wire"
)

// node is a block of the tree: the final block or a descendant of it. Blocks on
// the best chain were applied; the others were not, and may turn out invalid.
type node struct {
	ref      Ref
	header   *wire.Header // nil for the lowest node only
	parent   *node        // nil for the lowest node only
	children []*node      // in order of arrival
}

func newNode(h *wire.Header, parent *node) *node {
	body := h.Body()
	return &node{
		ref:    Ref{ID: h.ID(), Height: body.Height, Slot: body.Slot, Time: body.Time},
		header: h,
		parent: parent,
	}
}

// compareChains is negative where the chain that ends in a is the better one.
// It orders all blocks above one ancestor: height first, then slot and id where
// the two chains part.
func compareChains(a, b *node) int {
	if c := cmp.Compare(b.ref.Height, a.ref.Height); c != 0 {
		return c
	}
	for a != b && a.parent != b.parent {
		a, b = a.parent, b.parent
	}
	return cmp.Or(
		cmp.Compare(a.ref.Slot, b.ref.Slot),
		bytes.Compare(a.ref.ID[:], b.ref.ID[:]),
	)
}

// forkOf returns the highest block that the chains of a and b share.
func forkOf(a, b *node) *node {
	for a != b {
		if a.ref.Height >= b.ref.Height {
			a = a.parent
		} else {
			b = b.parent
		}
	}
	return a
}

// chain returns the blocks above from, up to and with tip, lowest first.
func chain(from, tip *node) []*node {
	var nodes []*node
	for n := tip; n != from; n = n.parent {
		nodes = append(nodes, n)
	}
	slices.Reverse(nodes)
	return nodes
}

func (l *Ledger) insert(n *node) {
	n.parent.children = append(n.parent.children, n)
	l.tree[n.ref.ID] = n
}

// remove takes n and its descendants out of the tree and returns their ids.
func (l *Ledger) remove(n *node) []wire.BlockID {
	if n.parent != nil {
		n.parent.children = slices.DeleteFunc(n.parent.children, func(c *node) bool { return c == n })
	}
	var ids []wire.BlockID
	for rest := []*node{n}; len(rest) > 0; {
		last := rest[len(rest)-1]
		rest = append(rest[:len(rest)-1], last.children...)
		delete(l.tree, last.ref.ID)
		ids = append(ids, last.ref.ID)
	}
	return ids
}

// finalize makes the block of the best chain at the given index the lowest one
// of the tree: what it stands on, and every branch beside it, is forgotten.
func (l *Ledger) finalize(index int) {
	if index == 0 {
		return
	}
	for i, n := range l.best[:index] {
		for _, child := range slices.Clone(n.children) {
			if child != l.best[i+1] {
				l.remove(child)
			}
		}
		delete(l.tree, n.ref.ID)
	}
	l.best = slices.Delete(l.best, 0, index)
	l.final().parent = nil
}

// MaxSide is how many blocks beside the best chain are kept. Beyond it the
// weakest tip is forgotten; should it matter after all, sync brings it back.
// Honest producers fork by accident only: so many blocks take a producer that
// signs many for one slot, or a long partition.
const MaxSide = 16_384

// evict forgets the weakest tip beside the best chain, except keep.
func (l *Ledger) evict(keep *node) {
	head := l.head()
	var weakest *node
	for _, n := range l.tree {
		if len(n.children) > 0 || n == head || n == keep {
			continue
		}
		if weakest == nil || compareChains(weakest, n) < 0 {
			weakest = n
		}
	}
	if weakest != nil {
		l.remove(weakest)
	}
}

// MaxInvalid is how many blocks are remembered as invalid. A forgotten one is
// found invalid again at the price of another look.
const MaxInvalid = 4096

// invalidBlocks remembers the blocks that were found invalid last.
type invalidBlocks struct {
	ids   map[wire.BlockID]struct{}
	order []wire.BlockID // oldest first
}

func newInvalidBlocks() invalidBlocks {
	return invalidBlocks{ids: make(map[wire.BlockID]struct{})}
}

func (b *invalidBlocks) has(id wire.BlockID) bool {
	_, ok := b.ids[id]
	return ok
}

func (b *invalidBlocks) add(id wire.BlockID) {
	if b.has(id) {
		return
	}
	if len(b.order) == MaxInvalid {
		delete(b.ids, b.order[0])
		b.order = slices.Delete(b.order, 0, 1)
	}
	b.ids[id] = struct{}{}
	b.order = append(b.order, id)
}
