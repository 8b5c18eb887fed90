// Package fetch decides which peer to ask for which transaction, and when to ask another.
//
// A [Tracker] is told who announced what, and answers whom to ask for it. The
// rules are those of Bitcoin Core's txrequest, at the pace of this network:
//
//   - At most one request for a transaction is out at any time.
//   - Of the peers that announced it, preferred ones (dialled by us, say) are
//     asked first, the others after a delay; among equals a secret key decides,
//     not who was first.
//   - A peer that does not deliver in time, or says that it cannot, is not asked
//     for that transaction again as long as another source is left, however often
//     it announces it.
//   - Peers that are doubted are asked last, and what only they announced does not
//     count as [Tracker.Likely].
//   - A peer has a bounded number of announcements and of requests in flight. One
//     that has all its requests in flight is passed over. There is a bound on all
//     announcements too, at which those lose who have most.
//
// How long liars can delay. Of P preferred peers that announced a transaction,
// let H ≥ 1 be honest and quick enough. They are asked in an order that nobody
// but us can know or influence, so that the liars before the first honest one are
// (P−H)/(H+1) in the mean and P−H at worst, and each costs one expiry, at most
// [Config.MaxExpiry] and [Config.Each] for what it was asked for before; or, if it
// gives other transactions at [Config.MinRate] meanwhile, at most
// [Config.MaxPatience]. Requests that liars leave open do not hold up others, for
// they count against the liar's own bound only. The bound holds as long as not all
// honest sources have their requests in flight; then the transaction waits for the
// first of these to be answered.
//
// What it needs from the caller: times that do not run backwards (a time before
// an earlier one is taken as it is, and delays what is due); one goroutine at a
// time; [Tracker.Arrived] for everything that became known, however it came; and
// that it is not told of what is known already. Ids that a peer made up cost that
// peer's own bound and end as broken requests.
//
// What it does not do: it sends nothing, keeps no transactions and blames nobody;
// [Broken] is for the caller to judge. Lateness alone proves nothing.
package fetch
