package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/btcutil/bech32"
)

// Address is an account: an Ed25519 public key. Its text form is bech32m with
// the prefix that genesis names.
type Address [32]byte

// BadAddress says why a text is not an address of this network.
type BadAddress string

const (
	AddressWrongPrefix BadAddress = "wrong prefix"
	AddressBadChecksum BadAddress = "bad checksum"
	AddressWrongLength BadAddress = "wrong length"
	AddressBadText     BadAddress = "not bech32m"
)

func (e BadAddress) Error() string { return "address: " + string(e) }

// maxAddressText is the most that bech32 can guard with its checksum.
const maxAddressText = 90

// IsZero reports whether a is the zero value, which stands for no account.
func (a Address) IsZero() bool { return a == Address{} }

// Compare orders addresses by their bytes.
func (a Address) Compare(b Address) int { return bytes.Compare(a[:], b[:]) }

// String is the key in hexadecimal, for logs and tests. What people read and
// type is made by Encode, since only a network knows its prefix.
func (a Address) String() string { return hex.EncodeToString(a[:]) }

// Encode returns the bech32m form. The prefix must satisfy ValidPrefix, as
// that of every valid genesis does.
func (a Address) Encode(prefix string) string {
	groups, err := bech32.ConvertBits(a[:], 8, 5, true)
	if err != nil {
		panic("wire: 32 bytes do not convert to groups of 5 bits: " + err.Error())
	}
	s, err := bech32.EncodeM(prefix, groups)
	if err != nil {
		panic("wire: bech32m of groups of 5 bits: " + err.Error())
	}
	return s
}

// ParseAddress reads the bech32m form of an address with that prefix, in
// lower or in upper case. Errors wrap a BadAddress.
func ParseAddress(prefix, s string) (Address, error) {
	var a Address
	if len(s) > maxAddressText {
		return a, fmt.Errorf("parse address of %d characters: %w", len(s), AddressWrongLength)
	}
	if i := strings.LastIndexByte(s, '1'); i >= 0 && !strings.EqualFold(s[:i], prefix) {
		return a, fmt.Errorf("parse address %q, want prefix %q: %w", s, prefix, AddressWrongPrefix)
	}
	_, groups, version, err := bech32.DecodeGeneric(s)
	var checksum bech32.ErrInvalidChecksum
	switch {
	case errors.As(err, &checksum) || err == nil && version != bech32.VersionM:
		return a, fmt.Errorf("parse address %q: %w", s, AddressBadChecksum)
	case err != nil:
		return a, fmt.Errorf("parse address %q: %w", s, AddressBadText)
	}
	key, err := bech32.ConvertBits(groups, 5, 8, false)
	if err != nil {
		return a, fmt.Errorf("parse address %q: %w", s, AddressBadText)
	}
	if len(key) != len(a) {
		return a, fmt.Errorf("parse address %q: key of %d bytes: %w", s, len(key), AddressWrongLength)
	}
	copy(a[:], key)
	return a, nil
}

// ValidPrefix reports whether s can stand before addresses: a lower-case
// letter, then lower-case letters and digits, at most MaxAddressPrefix.
func ValidPrefix(s string) bool {
	if s == "" || len(s) > MaxAddressPrefix || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
