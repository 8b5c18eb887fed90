// Package peerscore keeps the reputation of every peer as plain arithmetic over what it is told and the time it is given.
//
// A [Book] is told of offences and merits and answers what a peer's part of its
// score is. Guilt is the sum of the weights of a peer's proven offences, each
// halved with every half-life that has passed since; doubt is the same of what is
// merely inferred; merit of what was of use. Enough guilt becomes a ban, which has
// an end. A [Lookout] finds mesh peers that pass on nothing. [Laggards] finds those
// that do not read. A [Quota] keeps inferences from costing a node all its peers.
// The settings of GossipSub's own scores are derived from expected rates
// ([Config.Topic], [Config.Router]).
//
// What it guarantees:
//
//   - Asking for a score costs a few map look-ups and powers of two, whatever the
//     peer did. Every number is bounded by [Config] and decays to exactly 0.
//   - A banned peer's score lies so far below the graylist threshold that the
//     best behaviour GossipSub can reward does not lift it back (a router that
//     caps topic scores by [Router] and weights the application's score by 1).
//   - While a proven offence stands, neither topics nor merits lift a score to 0.
//   - What is merely inferred (see [Offence.Proven]) lowers a score, but neither
//     bans nor reaches the graylist threshold.
//   - Memory is bounded by [Config]. At a bound the record that weighs least, or
//     the ban that ends first, is forgotten; see [Book] for what that costs an
//     attacker.
//   - The same calls at the same times give the same answers.
//
// What it needs from the caller: times that do not run backwards (a time
// before an earlier one counts as that one); one goroutine at a time; peer ids
// that are bounded in length; and that an offence is recorded once, on one
// road, and only for what the peer itself did. Our own failures are nobody's
// offence.
//
// What it does not do: it neither disconnects nor refuses anybody, and keeps
// nothing on disk (see [Book.Save] and [Book.Load] for who does). What it derives
// for GossipSub are plain values; whoever runs the router copies them over.
package peerscore
