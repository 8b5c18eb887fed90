// Package core is the world core: a deterministic simulator that drives pure
// machines by the thousand over links with latency, bandwidth, loss, churn,
// partitions and attackers, in one goroutine and virtual time.
//
// It guarantees that a scenario and its seed determine everything: two runs
// give the same report, byte for byte, and the same trace hash, whatever the
// machine and however many processors it has. What happens next is the event
// with the earliest time, and of those the one that was planned first; no
// order of a map or a heap shows. Each purpose draws from a random stream of
// its own, so that more of one thing does not change another. After every step
// the invariants are checked, and a broken one ends the run with an error that
// names the seed, the time and the step.
//
// It needs of the caller a valid scenario of world core with relay gossip, and
// of each [Machine] that it is a function of what it was told: no clock, no
// goroutine, no randomness but what it was made with.
//
// It does not model a transport: a message is lost as a whole, and nobody
// sends it again but the machines; there are no acknowledgements and no
// handshakes; a broken link is noticed by both its ends at once. Processing
// takes no time. It reads no clock, so that a report has no figures of wall
// time, processor or memory: those are for the caller to take.
//
// The first inhabitants are nodes with plain push gossip, the real mempool,
// ledger and fork choice; signatures are made and checked once for the whole
// network, since what a Checker minted can be shared. Other machines plug in
// as [Machine], or as parts that a node is put together from.
package core
