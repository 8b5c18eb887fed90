package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// NetworkID is the hash of a network's genesis. TxID and BlockID are the
// SHA-256 of a transaction's and of a header's bytes as carried. Hash is any
// other SHA-256 of the formats. As text each is 64 hexadecimal digits.
type (
	NetworkID [32]byte
	TxID      [32]byte
	BlockID   [32]byte
	Hash      [32]byte
)

// TxIDOf is the id of the transaction that b, whole and as carried, would be. It does
// not look whether b is one.
func TxIDOf(b []byte) TxID { return sha256.Sum256(b) }

// Signature is an Ed25519 signature, judged by the rules of ZIP-215.
type Signature [signatureSize]byte

// Salt keys the short ids of one block.
type Salt [16]byte

// ParseNetworkID reads the 64 hexadecimal digits that String writes.
func ParseNetworkID(s string) (id NetworkID, err error) {
	return id, parseHex(id[:], "network id", s)
}

// ParseTxID reads the 64 hexadecimal digits that String writes.
func ParseTxID(s string) (id TxID, err error) { return id, parseHex(id[:], "transaction id", s) }

// ParseBlockID reads the 64 hexadecimal digits that String writes.
func ParseBlockID(s string) (id BlockID, err error) { return id, parseHex(id[:], "block id", s) }

// Short is the first 8 bytes in hexadecimal, as protocol ids and topics carry it.
func (id NetworkID) Short() string { return hex.EncodeToString(id[:8]) }

// GenesisBlock is the parent of the first block: the network id itself.
func (id NetworkID) GenesisBlock() BlockID { return BlockID(id) }

func (id NetworkID) String() string { return hex.EncodeToString(id[:]) }
func (id TxID) String() string      { return hex.EncodeToString(id[:]) }
func (id BlockID) String() string   { return hex.EncodeToString(id[:]) }
func (h Hash) String() string       { return hex.EncodeToString(h[:]) }
func (s Signature) String() string  { return hex.EncodeToString(s[:]) }

// IsZero reports whether all bytes are zero, which no hash is in practice.
func (id NetworkID) IsZero() bool { return id == NetworkID{} }

// IsZero reports whether all bytes are zero, which no hash is in practice.
func (id TxID) IsZero() bool { return id == TxID{} }

// IsZero reports whether all bytes are zero, which no hash is in practice.
func (id BlockID) IsZero() bool { return id == BlockID{} }

// IsZero reports whether all bytes are zero, which no hash is in practice.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText writes what String returns; it never fails.
func (id NetworkID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// MarshalText writes what String returns; it never fails.
func (id TxID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// MarshalText writes what String returns; it never fails.
func (id BlockID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// MarshalText writes what String returns; it never fails.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads 64 hexadecimal digits; on error the id is unchanged.
func (id *NetworkID) UnmarshalText(b []byte) error { return parseHex(id[:], "network id", string(b)) }

// UnmarshalText reads 64 hexadecimal digits; on error the id is unchanged.
func (id *TxID) UnmarshalText(b []byte) error { return parseHex(id[:], "transaction id", string(b)) }

// UnmarshalText reads 64 hexadecimal digits; on error the id is unchanged.
func (id *BlockID) UnmarshalText(b []byte) error { return parseHex(id[:], "block id", string(b)) }

// UnmarshalText reads 64 hexadecimal digits; on error the hash is unchanged.
func (h *Hash) UnmarshalText(b []byte) error { return parseHex(h[:], "hash", string(b)) }

// parseHex leaves dst alone on error.
func parseHex(dst []byte, what, s string) error {
	if len(s) != hex.EncodedLen(len(dst)) {
		return fmt.Errorf("%s has %d characters, want %d hexadecimal digits", what, len(s), hex.EncodedLen(len(dst)))
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return fmt.Errorf("%s %q: %w", what, s, err)
	}
	copy(dst, b)
	return nil
}
