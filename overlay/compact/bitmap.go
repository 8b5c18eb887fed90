package compact

import (
	"encoding/binary"
	"math/bits"
)

const bitmapWords = (MaxChunks + 63) / 64

// Bitmap says which chunks of a block are meant. The zero value is none.
type Bitmap [bitmapWords]uint64

// Has reports whether chunk i, below MaxChunks, is meant.
func (b Bitmap) Has(i int) bool { return b[i/64]>>(i%64)&1 == 1 }

// Set adds chunk i, below MaxChunks.
func (b *Bitmap) Set(i int) { b[i/64] |= 1 << (i % 64) }

// Clear takes chunk i out.
func (b *Bitmap) Clear(i int) { b[i/64] &^= 1 << (i % 64) }

// Count is how many are meant.
func (b Bitmap) Count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// IsZero reports whether none is meant.
func (b Bitmap) IsZero() bool { return b == Bitmap{} }

// Without is what b has and c has not.
func (b Bitmap) Without(c Bitmap) Bitmap {
	for i := range b {
		b[i] &^= c[i]
	}
	return b
}

// With is what b or c has.
func (b Bitmap) With(c Bitmap) Bitmap {
	for i := range b {
		b[i] |= c[i]
	}
	return b
}

// each yields what is meant, in rising order.
func (b Bitmap) each(yield func(int) bool) {
	for i, w := range b {
		for ; w != 0; w &= w - 1 {
			if !yield(i*64 + bits.TrailingZeros64(w)) {
				return
			}
		}
	}
}

// all is the bitmap of the first n chunks.
func all(n int) (b Bitmap) {
	for i := range n {
		b.Set(i)
	}
	return b
}

// bytes is the form on the wire: chunk 0 is the lowest bit of the first byte, and zero
// bytes at the end are left out.
func (b Bitmap) bytes() []byte {
	var out [8 * bitmapWords]byte
	for i, w := range b {
		binary.LittleEndian.PutUint64(out[8*i:], w)
	}
	n := len(out)
	for n > 0 && out[n-1] == 0 {
		n--
	}
	return out[:n]
}

// bitmapOf is the inverse of bytes, for up to 8 × bitmapWords of them.
func bitmapOf(in []byte) (b Bitmap) {
	var padded [8 * bitmapWords]byte
	copy(padded[:], in)
	for i := range b {
		b[i] = binary.LittleEndian.Uint64(padded[8*i:])
	}
	return b
}
