// Command grapevine runs a node, talks to one, and runs testnets.
//
// It guarantees the exit status that scripts rely on (0 done, 1 failed, 2
// wrong usage, 3 the node cannot be reached), that --json puts one JSON
// document on standard output and nothing else there, and that signing keys
// never leave the process: transactions are signed here and travel signed.
//
// It needs of its caller nothing but a place for a home; every command says
// with --help what it reads and writes. What it does not do: it keeps no state
// of its own beside the node's home, and it decides nothing that the node
// decides. It is a thin layer over the packages node, node/api, node/config,
// node/keyfile and testnet.
package main
