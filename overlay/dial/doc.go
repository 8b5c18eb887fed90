// Package dial decides which peers to keep and which addresses to try next, so that no few networks can surround us.
//
// A [Book] remembers addresses; a [Keeper] says when to dial which, and which
// links are worth keeping over a restart; [Keeper.Evict] says which inbound link makes
// room for another. All three see networks, not addresses: a [Group] is an IPv4
// /16 or an IPv6 /32, what an attacker has to pay for.
//
// What it guarantees:
//
//   - The book is bounded, and who tells us addresses from one group reaches a
//     sixteenth of its places, whatever the number of addresses. An address that
//     ever answered is replaced by another only after it failed to answer again.
//   - At most [Config].PerGroup outbound links lead into one group, unless there
//     would be fewer than [Config].Least.
//   - After a restart the peers that served longest are dialled first, and a
//     share of the outbound slots waits for them. That is what an attacker who
//     filled the book cannot buy: the time during which it had to serve well.
//   - A failure while we have no link at all is taken for our own: it delays the
//     next attempt and counts against no address.
//   - State is bounded and survives a restart: [Keeper.AppendTo] and [Restore].
//   - The same calls at the same times with the same random source give the same
//     answers.
//
// What it needs from the caller: one goroutine at a time; times that do not run
// backwards; a call of Tick some four times a second while links are missing;
// a report (Connected, Failed or Void) for every [Dial] it was handed; and
// addresses as sources that were seen on a connection, not claimed.
//
// What it does not do: it neither resolves names, dials nor closes, and it does
// not know which peers are honest. An attacker that served well for as long as
// everybody else and holds four fifths of the book holds four fifths of the
// links too; see the tests for what is measured against whom.
package dial
