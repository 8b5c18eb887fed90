// Package member keeps a bounded, signed view of who is in the network and who has fallen silent.
//
// A [Machine] is SWIM over the links that a node has anyway, with Lifeguard's
// lessons. A link that falls quiet is probed; a peer that does not answer, neither
// directly nor through others, is accused, and every node that hears of it
// looks for itself before it believes. The accused refutes with a new version
// of its signed record, which everybody can check.
//
// What it guarantees:
//
//   - Nobody can make the dead alive: life is proved by a frame on the peer's own
//     channel, by an acknowledgement that the peer signed over network, prober,
//     nonce and sequence number, or by a record with a higher sequence number.
//   - Nobody can make the living dead: what a third party says only raises
//     suspicion, and a suspect dies for us only after our own questions about it
//     went unanswered for the time of suspicion, during which others answered us.
//     To kill a peer in our eyes one has to hold all of our links, or all of its.
//   - A stall of our own (a stopped process, a dead line) kills nobody.
//   - Who leaves says so, by an accusation of itself: all know at once, and nobody
//     can say it for another, or for a later version of the record.
//   - Records spread by rumour and, whatever rumour missed, by push-pull exchange
//     of digests (syn, ack, ack2), in O(log N) rounds each.
//   - Memory is bounded by [Config].MaxMembers; per link, so is work. At the bound
//     the view is a sample by a secret rank, which nobody can aim at, with a
//     bounded share for each group of addresses.
//   - The same events at the same times with the same random source give the
//     same actions.
//
// What it needs from the caller: one goroutine at a time; a [Tick] about every
// 100 ms; frames handed over as sent, over channels that prove who sends;
// [Gone].Lost told honestly; and a random source and [Records].Seal whose sequence
// numbers outlive restarts (time does).
//
// What it does not do: it opens no links (package dial decides that), and it
// blames nobody but the sender of a [Fault]. It does not hide who is in the
// network from those who are.
package member
