// Package scenario reads the files that say what a testnet run does, and
// refuses those that cannot be run.
//
// It guarantees that a scenario it returns can be carried out: every key was
// known, every unit understood, and the network it describes can exist.
// Everything wrong with a file is said at once, each with file and line. A
// scenario is a value: the same file and the same settings give an equal one.
//
// It needs of the caller nothing; files that ship with the program are named
// without a path ([Shipped]).
//
// It does not run anything and does not know which worlds are built in; it
// does not judge a run either, since what [Expect] asks for is checked by the
// report.
package scenario
