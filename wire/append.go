package wire

import "google.golang.org/protobuf/encoding/protowire"

// The append functions write one field each. All but appendAlways leave out
// the default value, as the canonical form demands.

func appendUint(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	dst = protowire.AppendTag(dst, num, protowire.VarintType)
	return protowire.AppendVarint(dst, v)
}

func appendBytes(dst []byte, num protowire.Number, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	return appendAlways(dst, num, b)
}

func appendAlways(dst []byte, num protowire.Number, b []byte) []byte {
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	return protowire.AppendBytes(dst, b)
}

// appendOptional writes a fixed-size field unless all its bytes are zero.
func appendOptional(dst []byte, num protowire.Number, b []byte) []byte {
	if allZero(b) {
		return dst
	}
	return appendAlways(dst, num, b)
}

// nestedSize is the size of a length-delimited field whose number is below 16.
func nestedSize(n int) int { return 1 + protowire.SizeBytes(n) }
