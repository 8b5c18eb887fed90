// Package recon finds the difference of two sets in a number of bytes that grows with the difference only.
//
// It is a rateless invertible Bloom lookup table (Yang et al., "Practical
// Rateless Set Reconciliation", SIGCOMM 2024), hardened against peers that lie,
// and the exchange around it, as two machines without I/O: an [Initiator] on the
// side that opened the stream, a [Responder] on the other.
//
// A session. Both sides draw a salt; the two together key the short ids by which
// this link speaks of transactions, so that nobody else can prepare two
// that collide. Each side keeps the first [Live] symbols of its set up to date with
// every change. An exchange begins with the Open of the initiator: the sum of its
// set, and the counts of some symbols. If the sums agree, that was it. If not, the
// counts tell the responder roughly how much differs, and it answers with about as
// many symbols as that takes; the initiator asks for more until the difference
// comes out, in steps that follow an ever better estimate. Beyond Live symbols both
// sides take a look at the whole set, away from the hot path; where the sets
// have little in common, the responder lists its ids instead. Then the initiator
// asks for the ids of what it lacks and tells the ids of what the other side lacks;
// those that entered a set lately are at hand, for others it is looked through.
// Transactions themselves are fetched by other means: see overlay/fetch.
//
//	initiator                           responder
//	Greeting (salt)          →
//	                         ←          Greeting (salt)
//	Open (size, sum, counts) →
//	                         ←          Equal, or Symbols
//	More (up to)             →                              as often as it takes,
//	                         ←          Symbols             or
//	All (from)               →
//	                         ←          Listing…            that
//	Need…, IDs…, Done        →
//	                         ←          IDs…, Done
//
// What it guarantees:
//
//   - No frame and no symbols make it loop, panic, or keep or do more than the
//     bounds say: [MaxSymbols] symbols, 32 looks at a symbol for each, [MaxSize]
//     ids, one [Large] exchange per node.
//   - Peers that ask for large exchanges, however many, keep the place from sessions
//     that we opened for no longer than Config.Answer: then it is theirs.
//   - Symbols, short ids and what they decode to are the same on every machine;
//     testdata has vectors for other languages.
//   - An id that was asked for has the short id that was asked for, before anybody
//     hears of it. A [Fault] that is Proven is one that no honest peer can commit.
//   - Two ids with one short id, or symbols that somebody poisoned, cost one
//     session: the next one has other salts. Sets that change during an exchange
//     cost nothing.
//   - The same events at the same times give the same actions.
//
// What it needs from the caller:
//
//   - One goroutine at a time for all sessions that share a [Large], and for Add
//     and Remove: each change of the set, once, to every session, between the
//     first Step and [Initiator.End] or [Responder.End].
//   - A fresh random salt for each session, and times that do not run backwards.
//   - To hold the set fast at the very moment that a [RunScan] is handed out (a
//     copy, or a version of a persistent set), to run it elsewhere, and to give it
//     back as [Scanned].
//   - A Tick no later than Next says.
//   - A stream on which frames arrive whole and in order, each at most [MaxFrame]
//     bytes, decoded by [Decode]; and after a Close, or when the stream breaks, the
//     end of it: End frees the place of a large exchange. A new session waits at
//     least an interval, and longer after each Fault: a peer that stalls large
//     exchanges keeps their place for up to [Config.Answer] each time, and for up to
//     [Config.Exchange] in a session of ours that it keeps going.
//   - A set of what is known valid: pooled, and seen lately and refused by policy.
//     Else what one side refuses is told to it again and again. At most MaxSize.
//
// What it does not do: it neither fetches nor validates, and blames nobody: what a
// Fault costs is the caller's affair, as is what a peer that never opens an exchange
// has to hide (open a session the other way, on a stream of one's own). Learned ids
// are claims. What the responder is told by IDs it cannot verify at all.
package recon
