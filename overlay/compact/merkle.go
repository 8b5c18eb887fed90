package compact

import (
	"crypto/sha256"
	"math/bits"

	"github.com/grapevine-p2p/grapevine/wire"
)

// chunkTreeDomain keeps the tree of chunks apart from every other.
const chunkTreeDomain = "grapevine/chunk-root/1"

// MaxProof bounds the hashes of one proof: the height of a tree of MaxChunks leaves.
const MaxProof = 8

// tree is the Merkle tree over the chunks of a block, in the shape of wire.TxRoot: a
// leaf is SHA-256(0x00 ‖ domain ‖ chunk), a node is SHA-256(0x01 ‖ domain ‖ left ‖
// right), and a last node without sibling moves up as it is.
type tree struct {
	levels [][]wire.Hash // leaves first, the root last
}

func newTree(chunks [][]byte) *tree {
	level := make([]wire.Hash, len(chunks))
	for i, c := range chunks {
		level[i] = chunkLeaf(c)
	}
	t := &tree{levels: [][]wire.Hash{level}}
	for len(level) > 1 {
		up := make([]wire.Hash, 0, (len(level)+1)/2)
		for i := 0; i+1 < len(level); i += 2 {
			up = append(up, chunkNode(level[i], level[i+1]))
		}
		if len(level)%2 == 1 {
			up = append(up, level[len(level)-1])
		}
		t.levels = append(t.levels, up)
		level = up
	}
	return t
}

func (t *tree) root() wire.Hash { return t.levels[len(t.levels)-1][0] }

// proof returns the siblings on the way from leaf i to the root.
func (t *tree) proof(i int) []wire.Hash {
	var path []wire.Hash
	for _, level := range t.levels[:len(t.levels)-1] {
		if sibling := i ^ 1; sibling < len(level) {
			path = append(path, level[sibling])
		}
		i /= 2
	}
	return path
}

// proves reports whether chunk is number i of the total under root. The place follows
// from the sides that the path takes, so that a chunk proves for no other one.
func proves(root wire.Hash, chunk []byte, i, total int, path []wire.Hash) bool {
	if i < 0 || i >= total || len(path) > bits.Len(uint(total-1)) {
		return false
	}
	sum := chunkLeaf(chunk)
	for width := total; width > 1; width = (width + 1) / 2 {
		switch {
		case i^1 >= width: // no sibling: it moves up as it is
		case len(path) == 0:
			return false
		case i%2 == 0:
			sum, path = chunkNode(sum, path[0]), path[1:]
		default:
			sum, path = chunkNode(path[0], sum), path[1:]
		}
		i /= 2
	}
	return len(path) == 0 && sum == root
}

func chunkLeaf(chunk []byte) (sum wire.Hash) {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write([]byte(chunkTreeDomain))
	h.Write(chunk)
	h.Sum(sum[:0])
	return sum
}

func chunkNode(left, right wire.Hash) wire.Hash {
	var in [1 + len(chunkTreeDomain) + 64]byte
	in[0] = 1
	copy(in[1:], chunkTreeDomain)
	copy(in[1+len(chunkTreeDomain):], left[:])
	copy(in[1+len(chunkTreeDomain)+32:], right[:])
	return sha256.Sum256(in[:])
}
