package wire

import (
	"errors"
	"fmt"
	"io"
	"math"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxUnknown bounds the unknown fields that a request frame may carry.
const maxUnknown = 64

// A reader walks the fields of one protobuf message without copying. In
// canonical mode it accepts one byte form only: fields in ascending order,
// varints of least length, no defaults written out, no unknown fields. In
// frame mode it skips unknown fields and takes any order, as protobuf does.
// Both refuse groups and a singular field that comes twice.
//
// The first error stops the walk and is kept: check err after next is false.
type reader struct {
	rest      []byte
	message   string
	canonical bool

	num     protowire.Number // of the current field
	typ     protowire.Type
	again   bool   // the current field was seen before
	seen    uint64 // bit n: field n was seen; numbers from 64 on are unknown everywhere
	unknown int
	err     error
}

func canonicalReader(message string, b []byte, limit int) reader {
	return newReader(message, b, limit, true)
}

func frameReader(message string, b []byte, limit int) reader {
	return newReader(message, b, limit, false)
}

func newReader(message string, b []byte, limit int, canonical bool) reader {
	r := reader{rest: b, message: message, canonical: canonical}
	if len(b) > limit {
		r.err = fmt.Errorf("decode %s: %d bytes of at most %d: %w", message, len(b), limit, TooLarge)
	}
	return r
}

// fail keeps the first error.
func (r *reader) fail(field string, kind error) {
	if r.err == nil {
		r.err = fmt.Errorf("decode %s: %s: %w", r.message, field, kind)
	}
}

// next moves to the next field. It is false at the end and after an error.
func (r *reader) next() bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	tag, ok := r.varint("field tag")
	if !ok {
		return false
	}
	num, typ := protowire.DecodeTag(tag)
	if num < protowire.MinValidNumber || num > protowire.MaxValidNumber {
		r.fail(fmt.Sprintf("field number %d", num), TrailingBytes)
		return false
	}
	if r.canonical && num < r.num {
		r.fail(fmt.Sprintf("field %d after %d", num, r.num), NotCanonical)
		return false
	}
	r.num, r.typ, r.again = num, typ, false
	if num < 64 {
		bit := uint64(1) << num
		r.again = r.seen&bit != 0
		r.seen |= bit
	}
	return true
}

// require fails unless field num was seen.
func (r *reader) require(num protowire.Number, field string) {
	if r.seen&(1<<num) == 0 {
		r.fail(field, Missing)
	}
}

// skip deals with a field that the schema does not know.
func (r *reader) skip() {
	if r.canonical {
		r.fail(fmt.Sprintf("field %d", r.num), UnknownField)
		return
	}
	if r.unknown++; r.unknown > maxUnknown {
		r.fail("unknown fields", TooMany)
		return
	}
	switch r.typ {
	case protowire.VarintType, protowire.Fixed32Type, protowire.Fixed64Type, protowire.BytesType:
		n := protowire.ConsumeFieldValue(r.num, r.typ, r.rest)
		if n < 0 {
			r.fail(fmt.Sprintf("field %d", r.num), kindOf(n))
			return
		}
		r.rest = r.rest[n:]
	default: // groups nest without bound and nobody writes them
		r.fail(fmt.Sprintf("field %d", r.num), WrongType)
	}
}

// kindOf translates protowire's negative lengths.
func kindOf(n int) Malformed {
	if errors.Is(protowire.ParseError(n), io.ErrUnexpectedEOF) {
		return Truncated
	}
	return NotCanonical // a varint beyond 64 bits
}

func (r *reader) varint(field string) (v uint64, ok bool) {
	v, n := protowire.ConsumeVarint(r.rest)
	if n < 0 {
		r.fail(field, kindOf(n))
		return 0, false
	}
	if r.canonical && n != protowire.SizeVarint(v) {
		r.fail(field, NotCanonical)
		return 0, false
	}
	r.rest = r.rest[n:]
	return v, true
}

// singular checks the wire type and that the field comes once.
func (r *reader) singular(field string, want protowire.Type) bool {
	switch {
	case r.typ != want:
		r.fail(field, WrongType)
	case r.again:
		r.fail(field, NotCanonical)
	}
	return r.err == nil
}

func (r *reader) uint64(field string) uint64 {
	if !r.singular(field, protowire.VarintType) {
		return 0
	}
	v, ok := r.varint(field)
	if ok && v == 0 && r.canonical {
		r.fail(field, NotCanonical)
	}
	return v
}

func (r *reader) uint32(field string) uint32 {
	v := r.uint64(field)
	if v > math.MaxUint32 {
		r.fail(field, TooLarge)
		return 0
	}
	return uint32(v)
}

func (r *reader) bool(field string) bool {
	v := r.uint64(field)
	if v > 1 {
		r.fail(field, NotCanonical)
	}
	return v == 1
}

// span takes a length-delimited value of at most limit bytes. The result is
// a slice of the input.
func (r *reader) span(field string, limit int) []byte {
	size, ok := r.varint(field)
	switch {
	case !ok:
		return nil
	case size > uint64(limit):
		r.fail(field, TooLarge)
		return nil
	case size > uint64(len(r.rest)):
		r.fail(field, Truncated)
		return nil
	}
	b := r.rest[:size:size]
	r.rest = r.rest[size:]
	return b
}

// bytes takes a singular bytes field, or a nested message, which canonical
// mode never finds empty.
func (r *reader) bytes(field string, limit int) []byte {
	if !r.singular(field, protowire.BytesType) {
		return nil
	}
	b := r.span(field, limit)
	if r.err == nil && len(b) == 0 && r.canonical {
		r.fail(field, NotCanonical) // a default written out
	}
	return b
}

// fixed fills dst with a bytes field of exactly that length.
func (r *reader) fixed(field string, dst []byte) {
	if r.singular(field, protowire.BytesType) {
		r.fill(field, dst, r.span(field, len(r.rest)))
	}
}

func (r *reader) fill(field string, dst, b []byte) {
	switch {
	case r.err != nil:
	case len(b) != len(dst):
		r.fail(field, WrongLength)
	default:
		copy(dst, b)
	}
}

// optional is fixed for a field that is absent when all its bytes are zero.
func (r *reader) optional(field string, dst []byte) {
	if !r.singular(field, protowire.BytesType) {
		return
	}
	b := r.span(field, len(r.rest))
	if len(b) == 0 && !r.canonical {
		return // a default written out: the same as absent
	}
	r.fill(field, dst, b)
	if r.err == nil && r.canonical && allZero(dst) {
		r.fail(field, NotCanonical)
	}
}

func allZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// element takes one entry of a repeated bytes field or message that already
// has count entries.
func (r *reader) element(field string, count, maxCount, minSize, maxSize int) []byte {
	switch {
	case r.typ != protowire.BytesType:
		r.fail(field, WrongType)
		return nil
	case count >= maxCount:
		r.fail(field, TooMany)
		return nil
	}
	b := r.span(field, maxSize)
	if r.err == nil && len(b) < minSize {
		r.fail(field, WrongLength)
		return nil
	}
	return b
}

// text takes a string field of at most limit bytes. Strings end up in logs
// and terminals, so that only printable ones are accepted.
func (r *reader) text(field string, limit int) string {
	b := r.bytes(field, limit)
	if r.err != nil {
		return ""
	}
	if !printable(b) {
		r.fail(field, BadText)
		return ""
	}
	return string(b)
}

func printable(b []byte) bool {
	for len(b) > 0 {
		c, n := utf8.DecodeRune(b)
		if c == utf8.RuneError && n <= 1 || !unicode.IsPrint(c) {
			return false
		}
		b = b[n:]
	}
	return true
}

// version takes the version of a body. It is the body's first field, so that
// another version is told before anything else of it is judged.
func (r *reader) version(known uint32) uint32 {
	v := r.uint32("version")
	if r.err == nil && v != known {
		r.fail("version", UnknownVersion)
	}
	return v
}
