// Package store keeps on disk what must outlive the process.
//
// It guarantees that what a method reports done survives a crash of the process
// or of the machine; that a block is whole or absent; that the head, the
// accounts and the indexes always belong together; that a foreign, newer or locked
// store is refused with what to do; and that a damaged one is too, or is set aside,
// as the caller chose, and never removed.
//
// It needs of the caller one store per folder, and that Run runs: after a write
// that the disk refused, every write is refused with an error that wraps Failed
// until Run has opened the files again. Such a write, and those that were under
// way with it, are in doubt: they may be found done, whole, when the store takes
// writes again, or not at all.
//
// It does not judge what it is given: blocks and changes come checked. All
// methods are safe for concurrent use; writes of several callers share a sync.
package store
