package wire_test

import "testing"

// One fuzz target for each message: whatever decodes has the fields and, if it
// bears an id, the bytes that the schema's own code gives. The committed
// corpus is the vectors, good and bad.

func FuzzTransaction(f *testing.F)    { fuzz(f, "transaction") }
func FuzzTxBody(f *testing.F)         { fuzz(f, "transaction body") }
func FuzzHeader(f *testing.F)         { fuzz(f, "header") }
func FuzzHeaderBody(f *testing.F)     { fuzz(f, "header body") }
func FuzzBlock(f *testing.F)          { fuzz(f, "block") }
func FuzzCompactBlock(f *testing.F)   { fuzz(f, "compact block") }
func FuzzEvidence(f *testing.F)       { fuzz(f, "evidence") }
func FuzzGenesis(f *testing.F)        { fuzz(f, "genesis") }
func FuzzHello(f *testing.F)          { fuzz(f, "hello") }
func FuzzSyncRequest(f *testing.F)    { fuzz(f, "sync request") }
func FuzzSyncAnswer(f *testing.F)     { fuzz(f, "sync answer") }
func FuzzCompactRequest(f *testing.F) { fuzz(f, "compact request") }
func FuzzCompactAnswer(f *testing.F)  { fuzz(f, "compact answer") }

// largestSeed keeps the fuzzer fast: vectors above it only test a limit.
const largestSeed = 4 << 10

func fuzz(f *testing.F, name string) {
	c := codecOf(name)
	for _, v := range messageVectors(c).Vectors {
		if b := v.Bytes.decode(f); len(b) <= largestSeed {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) { c.agree(t, b) })
}
