package catchup

import (
	"slices"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Header is what a Scheduler knows of a block whose header was checked.
type Header struct {
	ID, Parent   wire.BlockID
	Height, Slot uint64
	Size         int // of the whole block, at most; not above Config.WindowBytes
}

// state is how far a block has come.
type state uint8

const (
	wanted  state = iota
	asked         // of one source
	held          // the caller has its body
	named         // the caller was told to add it
	stored        // in the chain; not in the tree any more
	dropped       // not in the tree any more
)

// node is a header in the tree.
type node struct {
	Header
	parent   *node // nil where the parent was in the chain from the first
	children int
	by       *source // who told it first
	state    state
	charged  bool // counts in the window
	failed   bool // somebody was asked for it and did not give it
}

func (n *node) live() bool { return n != nil && n.state < stored }

// path is a branch: the nodes from the chain to a leaf.
type path struct {
	nodes []*node // each the parent of the next, the leaf last
	done  int     // nodes before it are in the chain
	next  int     // nodes before it are not wanted
	named int     // nodes before it are named, or in the chain

	judged wire.BlockID // our head when loses was found out
	loses  bool         // our chain is as long, and better
}

func (p *path) leaf() *node { return p.nodes[len(p.nodes)-1] }

// has says whether n is on the branch.
func (p *path) has(n *node) bool {
	i, ok := p.index(n.Height)
	return ok && p.nodes[i] == n
}

func (p *path) index(height uint64) (int, bool) {
	first := p.nodes[0].Height
	if height < first || height-first >= uint64(len(p.nodes)) {
		return 0, false
	}
	return int(height - first), true
}

// left is how many blocks of the branch are not in the chain.
func (p *path) left() int {
	for p.done < len(p.nodes) && p.nodes[p.done].state == stored {
		p.done++
	}
	return len(p.nodes) - p.done
}

// tree is the headers of blocks that are not in the chain, as branches.
type tree struct {
	nodes   map[wire.BlockID]*node
	paths   []*path // one for each leaf, in the order in which they came
	version uint64  // of paths
}

// insert adds headers each of which is the child of the one before; at least one. The
// parent of the first is given if it is in the tree, and in the chain otherwise.
func (t *tree) insert(parent *node, list []Header, by *source) (last *node) {
	grown := parent
	for _, h := range list {
		n := &node{Header: h, parent: parent, by: by}
		if parent != nil {
			parent.children++
		}
		t.nodes[h.ID] = n
		by.told++
		parent = n
	}
	p := pathTo(parent)
	t.version++
	for i, old := range t.paths {
		if old.leaf() == grown {
			t.paths[i] = p
			return parent
		}
	}
	t.paths = append(t.paths, p)
	return parent
}

func pathTo(leaf *node) *path {
	p := new(path)
	for n := leaf; n.live(); n = n.parent {
		p.nodes = append(p.nodes, n)
	}
	slices.Reverse(p.nodes)
	return p
}

// finish takes out a block that is in the chain now. Its ancestors are, too.
func (t *tree) finish(n *node) {
	n.state = stored
	t.forget(n)
	if n.children > 0 {
		return
	}
	t.version++
	t.paths = slices.DeleteFunc(t.paths, func(p *path) bool { return p.leaf() == n })
}

// forget takes a node out of the map, and cuts it from those before it, so that it does
// not keep them.
func (t *tree) forget(n *node) {
	delete(t.nodes, n.ID)
	n.by.told--
	n.parent = nil
}

// joins says whether b is a or follows it.
func (t *tree) joins(a, b *node) bool {
	return a.Height <= b.Height && slices.ContainsFunc(t.paths, func(p *path) bool { return p.has(a) && p.has(b) })
}

// prune drops what no other branch shares, and tells each block to gone.
func (t *tree) prune(p *path, gone func(*node)) {
	t.version++
	t.paths = slices.DeleteFunc(t.paths, func(q *path) bool { return q == p })
	t.fell(p.leaf(), nil, gone)
}

// fell drops nodes from n down while they have no children, to the parent of last at most.
// It returns the node at which it stopped.
func (t *tree) fell(n, last *node, gone func(*node)) (rest *node) {
	for n.live() && n.children == 0 {
		parent, end := n.parent, n == last
		gone(n)
		n.state = dropped
		t.forget(n)
		if parent != nil {
			parent.children--
		}
		n = parent
		if end {
			break
		}
	}
	return n
}

// cut drops a block and all that follow it.
func (t *tree) cut(from *node, gone func(*node)) {
	t.version++
	var rest *node
	for _, p := range slices.Clone(t.paths) {
		if !p.has(from) {
			continue
		}
		t.paths = slices.DeleteFunc(t.paths, func(q *path) bool { return q == p })
		rest = t.fell(p.leaf(), from, gone)
	}
	if rest.live() && rest.children == 0 {
		t.paths = append(t.paths, pathTo(rest))
	}
}

// reopen makes a block wanted, or held, again.
func (t *tree) reopen(n *node, to state) {
	n.state = to
	for _, p := range t.paths {
		if i, ok := p.index(n.Height); ok && p.nodes[i] == n {
			p.next, p.named = min(p.next, i), min(p.named, i)
		}
	}
}
