// Package overlay joins the gossip meshes, puts every message before validation,
// and tells peerscore what it learned.
//
// What it guarantees:
//   - Nothing reaches the chain or the pool that validation did not mint, and nothing
//     is passed on that validation did not accept.
//   - Only a provable fault, or a budget of the peer's own that it broke, counts against
//     a peer. There is one road from an error to an offence: offenceFor.
//   - Whatever a peer can make grow has a bound in Limits, in all and per peer, and
//     every stream has deadlines.
//   - Run leaves no goroutine, stream or handler of its own behind.
//
// What it needs of the caller: a libp2p host that is already listening, a Chain and a
// Pool that are safe for concurrent use, and hooks that do not block.
//
// What it does not do: it makes no host, keeps nothing on disk, and decides nothing
// about validity. Connection limits and address gates are the host's.
package overlay
