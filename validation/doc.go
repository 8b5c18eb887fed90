// Package validation decides whether a message may be believed and passed on,
// and mints the only values that the rest of Grapevine accepts as checked.
//
// It guarantees that whoever holds a [CheckedTx], a [CheckedHeader] or a
// [CheckedBlock] need not look at bytes, limits or signatures again: no other
// package can make one. It guarantees that only a [Fault], which the message
// itself proves, leads to [Reject]: a full pool, a missing parent, an
// application that is slow, gone or panics lead to [Ignore], whatever else went
// wrong at the same time. Checking many transactions together gives each the
// same answer as checking it alone.
//
// Of the caller it needs the time (there is no clock here), bytes that nobody
// changes afterwards, and an [Application] that is safe for concurrent use.
//
// A [Checker] keeps nothing between calls: it does not know which messages were seen
// before, and it punishes nobody. What the state at the head allows is the
// Application's to say; whether a Fault is the sender's or the producer's is
// written at each method of [Checker].
package validation
