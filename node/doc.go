// Package node assembles one Grapevine node from its parts and runs it until told to stop.
//
// It guarantees that a transaction which Submit accepted survives a crash of
// the process; that its ledger never runs ahead of its disk; that its producer
// signs no slot twice; that it says what it could not open and what to do about
// it; and that Run leaves nothing running.
//
// It needs of the caller a home (see InitHome) that no other node uses: a lock
// keeps others out.
//
// It is the shell around the ledger and the mempool, which are serial: chain.go
// puts a lock around both, and no network I/O happens under it.
package node
