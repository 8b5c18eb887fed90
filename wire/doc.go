// Package wire holds the messages that travel between Grapevine nodes and
// their one canonical byte form; it knows nothing of peers, time or policy.
//
// What it guarantees. What bears an id or a signature (transactions, headers,
// blocks, compact blocks, evidence, genesis) has one byte form: whatever a
// Decode function accepts encodes to the same bytes again, so nobody can
// change an id in flight. Ids are hashes of the bytes as carried. Request
// frames (hello, sync, compact) ignore unknown fields, so that versions can
// differ. Every length and every count is compared with its limit before
// memory is taken for it, and a decoded message holds at most a small multiple
// of the bytes it came from. Decode errors wrap one [Malformed] kind. All
// decoded messages may be shared between goroutines.
//
// What it needs from the caller. Decode functions keep slices of their input:
// the caller must not change the bytes afterwards, and who keeps one
// transaction of a large block for long should keep its [Transaction.Clone].
// Encoders do not check: they write what they are given, and a message beyond
// its limits is refused by whoever decodes it.
//
// What it does not do. It does not judge: whether a sender can pay, a
// producer's turn has come or a list of short ids matches its header is the
// business of validation. It does not read from streams.
//
// The schema for other languages is wire.proto; testdata holds vectors.
package wire

//go:generate ./generate.sh
