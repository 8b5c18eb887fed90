// Package stem hides which node a transaction began at: it goes from peer to peer along a
// stem before anybody publishes it.
//
// A [Router] says whom to hand a transaction to, and when to publish it after all. The
// rules are those of Dandelion++ (Fanti et al., SIGMETRICS 2018, section 5):
//
//   - For an epoch, a node hands what comes from one peer to one relay, and what comes
//     from itself to one, chosen by chance among few relays that are themselves chosen by
//     chance. Who watches several transactions of one origin sees one road, not several
//     that cross at the origin.
//   - For an epoch, a node either passes on what others hand to it or publishes it. What
//     is its own it always hands on.
//   - Whoever holds a transaction publishes it when it has not become public within an
//     embargo, drawn from an exponential distribution. So one silent relay delays a
//     transaction and cannot stop it, and the time at which a node lost its patience does
//     not tell how far along the stem it stands.
//   - A transaction that comes back is published.
//
// What it guarantees: what is handed in is forwarded, or comes out of [Router.Due] no later
// than its embargo, unless it was [Router.Seen]. It keeps no more than its bounds; what does
// not fit is to be published at once, or refused where it is our own.
//
// What it needs of the caller: one goroutine at a time; times that do not run backwards; a
// source of randomness that nobody else knows; peers that we dialled, since those who dial
// us choose to be our peers.
//
// What it does not do: it hides nothing from who sees all links, nor from the relay whose
// two neighbours are both spies, nor that the amount, the nonce and the sender of two
// transactions belong together. Peers that fill all places for what is handed in, sixteen by
// default, have other peers' published at once: a relay of ours that knows of it can tell
// what is our own by that it is not. It judges no transactions and sends nothing.
package stem
