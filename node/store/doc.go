// Package store keeps on disk what must outlive the process.
//
// It guarantees that what a method reports done survives a crash of the process
// or of the machine; that a block is whole or absent; that the head, the
// accounts and the indexes always belong together; and that a damaged, foreign,
// newer or locked store is refused with what to do, never reset.
//
// It needs of the caller one store per folder, and an end to all use after the
// first error that wraps Failed: from then on the disk cannot be trusted, and
// every write is refused.
//
// It does not judge what it is given: blocks and changes come checked. All
// methods are safe for concurrent use; writes of several callers share a sync.
package store
