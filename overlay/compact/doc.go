// Package compact sends a block as what the other side lacks of it, and puts it together again.
//
// A header with its short ids travels on the block topic; everything here goes beside it,
// over compact/1. A [Machine] matches the short ids with known transactions ([Draft]).
// What is missing comes in one of three ways, the first that serves:
//
//   - A [Fill] along a mesh link, behind the header: exactly what this link is not
//     known to have ([Known]), those first that no link has, within a window of bytes.
//   - An [Ask] for places in the block: of the header's sender, or, where that would not
//     come in one flight, shared among those likely to answer first; then of others, in
//     parallel. Who lacks some itself gives what it has and promises the rest.
//   - Chunks, where more is missing than one uplink should give: the body in
//     Reed–Solomon coded pieces, each with a proof against the header's chunk_root
//     ([Encode], [LayoutFor]). The producer gives each to one neighbour, which gives it to
//     all of its own; the others pull from each other what they said to [Have], the
//     rarest first.
//
// What a Machine guarantees:
//
//   - What it hands out ([Built]) is the body that the header signs.
//   - A link is blamed ([Blame]) only for what no honest node does, whatever is lost,
//     late or in another order: a transaction of another place, a chunk that does not
//     prove or comes twice, an answer to nothing. Who is slow has a lapse ([Missed]), and who
//     keeps back what it owes has debts ([Settled]), to be judged against others. Chunks that prove and give another body are the producer's
//     fault ([Accuse]); the relay of a header is never blamed for a body.
//   - Block validity does not depend on chunks: a body that tx_root signs is valid
//     whatever chunk_root says, and is then sent in the other ways.
//   - A chunk travels at most once on a link in each direction, one that is pushed at
//     most the block's size from each node, and of transactions a link is given at most
//     [Config].Served times the block.
//   - A producer takes no place that a block of another needs, however many it signs and however
//     slowly it has them come.
//   - Memory is bounded: [Config].Links, Blocks, EarlyBytes for each link, and for
//     each block its body and chunks. A frame is held against its limits before anything
//     is allocated ([Decode]).
//   - The same calls at the same times with the same random source give the same
//     actions, and never depend on map order.
//
// What it needs from the caller: one goroutine at a time; checked headers, which prove the
// right to produce, with the list of short ids that they sign; every header that comes,
// also again ([Machine.Open]); [Machine.Tick] when [Machine.Next] says; round trips and
// windows of its links; frames in order within Fill and Chunk; a budget for each peer. It is
// given CPU time for a block's hashes and code: about 10 ms for 1 MiB.
//
// What it does not do: it opens no stream, judges no transaction and no signature, keeps no
// reputation, and does not fetch whole blocks: that is what [GaveUp] asks of its caller.
package compact
