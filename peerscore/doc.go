// Package peerscore keeps the reputation of every peer as plain arithmetic over what it is told and the time it is given.
//
// A [Book] is told of offences and answers how guilty a peer still is. Guilt
// is the sum of the weights of a peer's offences, each halved with every
// half-life that has passed since. Enough guilt for faults that a peer
// provably committed becomes a ban, which has an end.
//
// What it guarantees:
//
//   - A score is never positive and decays to exactly 0; asking for it costs
//     one map look-up and one power of two, whatever the peer did.
//   - A banned peer's score lies so far below the graylist threshold that the
//     best behaviour GossipSub can reward does not lift it back (a router that
//     caps topic scores by [Router] and weights the application's score by 1).
//   - What is merely inferred (see [Offence.Proven]) lowers a score, but neither
//     bans nor reaches the graylist threshold.
//   - Memory is bounded by [Config]. At a bound the least guilty record, or the
//     ban that ends first, is forgotten; see [Book] for what that costs an
//     attacker.
//   - The same calls at the same times give the same answers.
//
// What it needs from the caller: times that do not run backwards (a time
// before an earlier one counts as that one); one goroutine at a time; peer ids
// that are bounded in length; and that an offence is recorded once, on one
// road, and only for what the peer itself did. Our own failures are nobody's
// offence.
//
// What it does not do: it neither disconnects nor refuses anybody, keeps
// nothing on disk (see [Book.All] and [Book.Restore] for who does), and knows
// nothing of addresses. The settings it derives for GossipSub's own scores are
// plain values; whoever runs the router copies them over.
package peerscore
