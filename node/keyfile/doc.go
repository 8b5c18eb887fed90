// Package keyfile keeps signing keys in files that only their owner can read.
//
// It guarantees that a key is never written over, that a file is whole or
// refused, and that what is loaded is what the file's public line names.
//
// A file starts with two lines of comment, the second naming the public key, so
// that a key can be told from another without its passphrase. Then follows
// the secret: an age file (scrypt passphrase, armoured; `age -d` opens it once
// the comment is cut off), or a PEM block where the operator asked for no
// passphrase.
//
// It needs of the caller the passphrase when one is wanted. It does not wipe
// secrets from memory: the language gives no way to promise that.
package keyfile
