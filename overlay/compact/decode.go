package compact

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/grapevine-p2p/grapevine/wire"
)

// maxUnknown bounds the fields of a newer version that a frame may carry, and maxUnknownBytes
// what they take in all: what is kept of a frame keeps all of its bytes in memory.
const (
	maxUnknown      = 16
	maxUnknownBytes = 256
)

// Decode reads one frame of up to MaxFrame bytes. Chunks and transactions are slices of
// b, which the caller must not change, and are not decoded themselves. A frame of a kind
// that this version does not know is nil without an error. The error is a Fault of the
// sender and wraps what wire calls it.
func Decode(b []byte) (Frame, error) {
	if len(b) > MaxFrame {
		return nil, fmt.Errorf("%w: frame of %d bytes: %w", Garbage, len(b), wire.TooLarge)
	}
	outer := fields{rest: b, what: "frame"}
	if !outer.next() {
		outer.fail(wire.Missing)
		return nil, outer.err
	}
	kind, inner := outer.num, outer.bytes(len(b))
	if outer.err == nil && len(outer.rest) > 0 {
		outer.fail(wire.TrailingBytes)
	}
	if outer.err != nil {
		return nil, outer.err
	}
	switch kind {
	case askField:
		return decodeAsk(inner)
	case fillField:
		return decodeFill(inner)
	case haveField:
		return decodeHave(inner)
	case wantField:
		return decodeWant(inner)
	case chunkField:
		return decodeChunk(inner)
	}
	return nil, nil //nolint:nilnil // a frame of a newer version is no fault and nothing to act on
}

// IsFrame reports whether b may be a frame, rather than a wire.CompactRequest: that is told
// by the number of its first field.
func IsFrame(b []byte) bool {
	num, _, n := protowire.ConsumeTag(b)
	return n > 0 && num >= askField
}

func decodeAsk(b []byte) (Frame, error) {
	f, r := new(Ask), fields{rest: b, what: "ask"}
	for r.next() {
		switch r.num {
		case 1:
			r.fixed(f.Block[:])
		case 2:
			f.ID = uint32(r.uint(1<<32 - 1))
		case 3:
			f.Places = r.rising(wire.MaxBlockTxs)
		default:
			r.skip()
		}
	}
	r.require(1, 2, 3)
	if r.err == nil && (f.ID == 0 || len(f.Places) == 0) { // a number of 0 says that a Fill is unasked
		r.fail(wire.Missing)
	}
	return result(f, r.err)
}

func decodeFill(b []byte) (Frame, error) {
	f, r := new(Fill), fields{rest: b, what: "fill"}
	size := 0
	for r.next() {
		switch r.num {
		case 1:
			r.fixed(f.Block[:])
		case 2:
			f.ID = uint32(r.uint(1<<32 - 1))
		case 3:
			f.Places = r.rising(MaxPlaces)
		case 4:
			r.again = false // repeated
			tx := r.bytes(wire.MaxTx)
			size += len(tx)
			switch {
			case r.err != nil:
			case len(tx) < wire.MinTx:
				r.fail(wire.WrongLength)
			case len(f.Txs) >= MaxPlaces, size > MaxFill:
				r.fail(wire.TooMany)
			default:
				f.Txs = append(f.Txs, tx)
			}
		case 5:
			f.More = r.uint(1) == 1
		case 6:
			f.Proved = r.uint(1) == 1
		default:
			r.skip()
		}
	}
	r.require(1)
	if r.err == nil && len(f.Txs) != len(f.Places) {
		r.fail(wire.WrongLength)
	}
	return result(f, r.err)
}

func decodeHave(b []byte) (Frame, error) {
	f, r := new(Have), fields{rest: b, what: "have"}
	for r.next() {
		switch r.num {
		case 1:
			r.fixed(f.Block[:])
		case 2:
			f.Chunks = r.bitmap()
		case 3:
			f.Whole = r.uint(1) == 1
		case 4:
			f.Seeking = r.uint(1) == 1
		case 5:
			f.Coming = r.uint(1) == 1
		default:
			r.skip()
		}
	}
	r.require(1)
	return result(f, r.err)
}

func decodeWant(b []byte) (Frame, error) {
	f, r := new(Want), fields{rest: b, what: "want"}
	for r.next() {
		switch r.num {
		case 1:
			r.fixed(f.Block[:])
		case 2:
			f.Chunks = r.bitmap()
		default:
			r.skip()
		}
	}
	r.require(1)
	return result(f, r.err)
}

func decodeChunk(b []byte) (Frame, error) {
	f, r := new(Chunk), fields{rest: b, what: "chunk"}
	for r.next() {
		switch r.num {
		case 1:
			r.fixed(f.Block[:])
		case 2:
			f.Index = int(r.uint(MaxChunks - 1))
		case 3:
			f.Data = r.bytes(MaxChunk)
		case 4:
			r.again = false // repeated
			var h wire.Hash
			if r.fixed(h[:]); len(f.Proof) >= MaxProof {
				r.fail(wire.TooMany)
			}
			f.Proof = append(f.Proof, h)
		case 5:
			f.Pushed = r.uint(1) == 1
		case 6:
			f.Onward = r.uint(1) == 1
		default:
			r.skip()
		}
	}
	r.require(1, 3)
	return result(f, r.err)
}

// result keeps a half-decoded frame from leaving beside its error.
func result(f Frame, err error) (Frame, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

// fields walks one protobuf message without copying. The first error stops the walk.
type fields struct {
	rest    []byte
	what    string
	num     protowire.Number
	typ     protowire.Type
	seen    uint64
	again   bool
	unknown int // fields that were skipped
	skipped int // bytes of their values
	err     error
}

func (r *fields) fail(kind wire.Malformed) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s, field %d: %w", Garbage, r.what, r.num, kind)
	}
}

func (r *fields) next() bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	num, typ, n := protowire.ConsumeTag(r.rest)
	if n < 0 {
		r.fail(wire.Truncated)
		return false
	}
	r.rest, r.num, r.typ, r.again = r.rest[n:], num, typ, false
	if num < 64 {
		r.again = r.seen>>num&1 == 1
		r.seen |= 1 << num
	}
	return true
}

func (r *fields) require(nums ...protowire.Number) {
	for _, num := range nums {
		if r.err == nil && r.seen>>num&1 == 0 {
			r.num = num
			r.fail(wire.Missing)
		}
	}
}

// skip passes over a field of a newer version. Groups nest without bound, and nobody
// writes them.
func (r *fields) skip() {
	r.unknown++
	n := -1
	if r.typ != protowire.StartGroupType && r.typ != protowire.EndGroupType {
		n = protowire.ConsumeFieldValue(r.num, r.typ, r.rest)
	}
	switch {
	case r.unknown > maxUnknown:
		r.fail(wire.TooMany)
	case n < 0:
		r.fail(wire.Truncated)
	case r.skipped+n > maxUnknownBytes:
		r.fail(wire.TooLarge)
	default:
		r.rest = r.rest[n:]
		r.skipped += n
	}
}

// bytes takes a value of at most limit bytes, as a slice of the input.
func (r *fields) bytes(limit int) []byte {
	if r.typ != protowire.BytesType || r.again {
		r.fail(wire.WrongType)
		return nil
	}
	size, n := protowire.ConsumeVarint(r.rest)
	switch {
	case n < 0 || size > uint64(len(r.rest)-n):
		r.fail(wire.Truncated)
		return nil
	case size > uint64(limit):
		r.fail(wire.TooLarge)
		return nil
	}
	end := n + int(size)
	b := r.rest[n:end:end]
	r.rest = r.rest[end:]
	return b
}

func (r *fields) fixed(dst []byte) {
	b := r.bytes(len(dst))
	if r.err == nil && len(b) != len(dst) {
		r.fail(wire.WrongLength)
	}
	copy(dst, b)
}

func (r *fields) uint(limit uint64) uint64 {
	if r.typ != protowire.VarintType || r.again {
		r.fail(wire.WrongType)
		return 0
	}
	v, n := protowire.ConsumeVarint(r.rest)
	switch {
	case n < 0:
		r.fail(wire.Truncated)
		return 0
	case v > limit:
		r.fail(wire.TooLarge)
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *fields) bitmap() Bitmap { return bitmapOf(r.bytes(8 * bitmapWords)) }

// rising takes a packed list of at most limit places, each greater than the one before:
// otherwise a few bytes could ask for one transaction many times.
func (r *fields) rising(limit int) []uint32 {
	b := r.bytes(placeBytes * limit)
	var list []uint32
	for r.err == nil && len(b) > 0 {
		v, n := protowire.ConsumeVarint(b)
		switch {
		case n < 0:
			r.fail(wire.Truncated)
		case v >= wire.MaxBlockTxs:
			r.fail(wire.TooLarge)
		case len(list) >= limit:
			r.fail(wire.TooMany)
		case len(list) > 0 && uint32(v) <= list[len(list)-1]:
			r.fail(wire.NotCanonical)
		default:
			list = append(list, uint32(v))
			b = b[n:]
		}
	}
	return list
}
