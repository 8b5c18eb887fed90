// Package shapes makes load that looks like real blocks: the sizes, the reuse
// of senders and the order of fees of two Ethereum mainnet blocks.
//
// It guarantees that one seed gives one sequence of drafts; that a signed
// draft has exactly the size of its row, or, where no transaction of the
// built-in application has that size, the next larger one that exists; that
// rows of one sender stay with one wallet within a pass, in the row's order;
// and that within a sample a higher tip becomes a higher fee per byte.
//
// It needs of the caller a nonce per wallet: a nonce moves only when a node
// has accepted, which only the caller sees.
//
// It does not reproduce arrival times (a block does not hold them) and it
// sends nothing.
package shapes
