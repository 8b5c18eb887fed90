// Package ledger is the built-in application: accounts with balances and
// nonces, and blocks by appointed producers.
//
// A transaction spends its amount and its fee; it applies if its nonce is the
// sender's next one and the balance suffices. A block is valid if all its
// transactions apply in order; the fees go to its fee recipient. The best chain
// is the one with most blocks; of two as long, the one with the lower slot where
// they first differ, then the lower block id. A block on which more than half
// of the producers have built is final.
//
// It guarantees that the sum of all balances never changes, that a final block
// is never rolled back, that a block is applied whole or not at all, and that
// the state is a function of the blocks it was given and, where chains compete
// for finality, of their order.
//
// A [Ledger] is not safe for concurrent use; its owner puts a lock around it.
// It needs a [Blocks] that returns the body of every block it was given above
// the final one, and it needs each [Change] to be made durable before Apply.
//
// It keeps accounts at the head only and headers above the final block only. It
// keeps no bodies, does not check signatures (that is validation's), and
// refuses no nonce for being ahead (that is the mempool's).
package ledger
