package wire

import "crypto/sha256"

// txTreeDomain keeps the root of transactions apart from every other tree.
const txTreeDomain = "grapevine/tx-root/1"

// TxRoot is the root of the Merkle tree over transaction ids, in the shape of
// RFC 6962: a leaf is SHA-256(0x00 ‖ domain ‖ id), a node is
// SHA-256(0x01 ‖ domain ‖ left ‖ right), the left subtree is the largest
// complete one that leaves something for the right, and the root of nothing
// is SHA-256(domain). No two lists have the same root: unlike in trees that
// double the last leaf, a repeated transaction changes it.
func TxRoot(ids []TxID) Hash {
	if len(ids) == 0 {
		return sha256.Sum256([]byte(txTreeDomain))
	}
	// level holds the nodes of one height. A last one without sibling moves up
	// as it is, which gives the shape above.
	level := make([]Hash, len(ids))
	for i, id := range ids {
		level[i] = txLeaf(id)
	}
	for len(level) > 1 {
		half := level[:0]
		for i := 0; i+1 < len(level); i += 2 {
			half = append(half, txNode(level[i], level[i+1]))
		}
		if len(level)%2 == 1 {
			half = append(half, level[len(level)-1])
		}
		level = half
	}
	return level[0]
}

func txLeaf(id TxID) Hash {
	var in [1 + len(txTreeDomain) + 32]byte
	copy(in[1:], txTreeDomain)
	copy(in[1+len(txTreeDomain):], id[:])
	return sha256.Sum256(in[:])
}

func txNode(left, right Hash) Hash {
	var in [1 + len(txTreeDomain) + 64]byte
	in[0] = 1
	copy(in[1:], txTreeDomain)
	copy(in[1+len(txTreeDomain):], left[:])
	copy(in[1+len(txTreeDomain)+32:], right[:])
	return sha256.Sum256(in[:])
}
