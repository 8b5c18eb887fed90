// Package local runs testnets of real daemons: one process each, on loopback
// addresses, with homes under one folder.
//
// It guarantees that no daemon outlives the one who runs the network, however
// that one ends (where a system cannot promise it, [Down] still finds them);
// that a network which was stopped comes up again with all that its nodes had;
// that a folder is never written to unless it is empty or a network of this
// package; that what a report of [Run] counts was told by the receiving
// daemon, over its own event stream; and that attackers are processes of their
// own, of which nothing is believed.
//
// It needs of the caller a program that understands `run --home DIR` and
// `testnet attacker` as grapevine does, loopback addresses, and for figures worth keeping a machine
// that is not busy with something else.
//
// It does not shape the network: loopback has the latency and the bandwidth
// that it has, and scenarios that ask for others are refused.
package local
