// Package mempool keeps the checked transactions that no block has confirmed yet, within bounds, best first.
//
// The transactions of one sender form a chain by nonce. Those that follow the
// sender's confirmed nonce without a gap are executable; those behind a gap
// wait, so that gossip which arrives out of order loses nothing. Between
// senders the fee per byte decides, and a transaction is worth no more than
// the cheapest before it in its chain (its floor): nothing can be confirmed
// before what it follows.
//
// What a [Pool] guarantees:
//
//   - Its bounds ([Config]) hold after every call but [Pool.Return].
//   - All that one sender has in the pool is affordable together.
//   - To make room, waiting transactions leave first, then the last executable one
//     of a chain, the one of the lowest floor: nothing is stranded. A waiting
//     transaction displaces no executable one, whatever it offers, and among
//     equals only a strictly higher floor displaces.
//   - Who has most waiting loses first ([Source]): what one peer sends takes no
//     waiting place from another that has fewer, nor from what the node answers for.
//   - What was evicted because others pay more does not come back at once: the
//     fee floor of the pool rises with it, and sinks with time and room.
//   - A sender's nonce is taken over only for a good deal more fee ([Config]).
//   - It holds the memory of its own copies only, some 400 bytes for each beside
//     what its bounds count.
//   - Every transaction that enters leaves exactly once, with a [Reason].
//   - The same calls give the same answers; [Pool.Template] and [Pool.All]
//     depend on what is in the pool, not on how it got there.
//
// What it needs from the caller: one goroutine at a time; for [Pool.Add] the
// sender's account at the current head, and [Pool.Settle] after every change of
// the head, with all accounts that the change touched, followed by [Pool.Return]
// for the transactions of blocks that were lost and then by [Pool.Trim].
//
// What it does not do: it keeps nothing on disk, relays nothing, and judges no
// signature and no rule of the application; only checked transactions fit in.
package mempool
