// Package testnet runs many nodes, honest and not, over a simulated or a real
// local network, and measures what arrives when.
//
// It guarantees that its figures come from the receivers: a delivery is
// counted when the receiving node says, through its hooks, that it knows a
// transaction to be valid, never because somebody sent it. A run that ends
// leaves no goroutine, no socket and no temporary file.
//
// It needs of the caller loopback addresses, a folder it may write to and a
// machine that is not busy with something else: in world local the figures
// are those of this machine.
//
// It does not judge by itself beyond the promises of a run; those that were
// broken are sentences in the report. Today it holds the small local network
// of [Demo]; worlds sim and core, attackers and scenarios are still to come.
package testnet
