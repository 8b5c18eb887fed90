package wire

import (
	"strings"
	"testing"
)

// FuzzParseID: what is read as an id is its text, in upper or lower case.
func FuzzParseID(f *testing.F) {
	f.Add(TxID{1, 2, 3}.String())
	f.Add(strings.ToUpper(TxID{0xab}.String()))
	f.Add(strings.Repeat("0", 63))
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseTxID(s)
		if err == nil && id.String() != strings.ToLower(s) {
			t.Fatalf("%q is %s", s, id)
		}
		block, blockErr := ParseBlockID(s)
		if (err == nil) != (blockErr == nil) || TxID(block) != id {
			t.Fatalf("%q: %v as a transaction's, %v as a block's", s, err, blockErr)
		}
	})
}
