package recon

import (
	"encoding/binary"

	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// MaxFrame is the most bytes that a frame may have.
	MaxFrame = 1<<16 - 1
	// MaxChunk is the most symbols in one frame.
	MaxChunk = 4096
	// MaxIDs and MaxNeeds are the most ids and short ids in one frame.
	MaxIDs   = 2000
	MaxNeeds = 8000
	// OpenCounts is how many counts an Open carries: enough to know the difference
	// within 29 % (see Estimate), at a byte each.
	OpenCounts = 24
	// MaxSize is the largest set that a frame may speak of.
	MaxSize = 1 << 18
)

// Frame is what one side says to the other. The caller delimits frames on the
// stream; Encode and Decode know nothing of that.
type Frame interface{ frame() }

type (
	// Greeting is the first frame of each side: its share of the key.
	Greeting struct{ Salt Salt }
	// Open starts an exchange. The initiator says what it knows of its set in as few
	// bytes as tell whether, and roughly how much, it differs.
	Open struct {
		Size   int               // of its set
		Sum    uint64            // of symbol 0
		Check  uint32            // of symbol 0
		Counts [OpenCounts]uint8 // of the symbols from 1 on
	}
	// Equal answers an Open: nothing differs. The exchange is over.
	Equal struct{}
	// Busy answers what the responder cannot do now. The exchange is over.
	Busy struct{}
	// Symbols answers an Open, and then each More.
	Symbols struct {
		Size    int // of the responder's set
		From    int // place of the first
		Symbols []Symbol
	}
	// More asks for the symbols up to (not including) place Upto.
	More struct{ Upto int }
	// All asks for the responder's whole set, from place From of its ids in rising
	// order: the sets differ too much for symbols.
	All struct{ From int }
	// Listing answers an All.
	Listing struct {
		Total int // of the set
		From  int // place of the first
		IDs   []wire.TxID
	}
	// Need asks for the ids of what the initiator lacks.
	Need struct{ Shorts []Short }
	// IDs are ids that the other side lacks: from the initiator before its Done,
	// from the responder for what was needed.
	IDs struct{ IDs []wire.TxID }
	// Done is the last frame of each side in an exchange in which something differs.
	Done struct{}
)

func (Greeting) frame() {}
func (Open) frame()     {}
func (Equal) frame()    {}
func (Busy) frame()     {}
func (Symbols) frame()  {}
func (More) frame()     {}
func (All) frame()      {}
func (Listing) frame()  {}
func (Need) frame()     {}
func (IDs) frame()      {}
func (Done) frame()     {}

// The first byte of a frame.
const (
	tagGreeting byte = 1 + iota
	tagOpen
	tagEqual
	tagBusy
	tagSymbols
	tagMore
	tagAll
	tagListing
	tagNeed
	tagIDs
	tagDone
)

// Encode appends the one byte form of f to b. Integers are varints as short as
// can be, everything else is little-endian; a list goes to the end of the frame.
func Encode(b []byte, f Frame) []byte {
	number := func(n int) { b = binary.AppendUvarint(b, uint64(n)) }
	ids := func(list []wire.TxID) {
		for i := range list {
			b = append(b, list[i][:]...)
		}
	}
	switch f := f.(type) {
	case Greeting:
		b = append(append(b, tagGreeting), f.Salt[:]...)
	case Open:
		b = append(b, tagOpen)
		number(f.Size)
		b = binary.LittleEndian.AppendUint64(b, f.Sum)
		b = binary.LittleEndian.AppendUint32(b, f.Check)
		b = append(b, f.Counts[:]...)
	case Equal:
		b = append(b, tagEqual)
	case Busy:
		b = append(b, tagBusy)
	case Symbols:
		b = append(b, tagSymbols)
		number(f.Size)
		number(f.From)
		for _, s := range f.Symbols {
			b = binary.LittleEndian.AppendUint64(b, s.Sum)
			b = binary.LittleEndian.AppendUint32(b, s.Check)
			b = append(b, s.Count)
		}
	case More:
		b = append(b, tagMore)
		number(f.Upto)
	case All:
		b = append(b, tagAll)
		number(f.From)
	case Listing:
		b = append(b, tagListing)
		number(f.Total)
		number(f.From)
		ids(f.IDs)
	case Need:
		b = append(b, tagNeed)
		for _, s := range f.Shorts {
			b = binary.LittleEndian.AppendUint64(b, uint64(s))
		}
	case IDs:
		b = append(b, tagIDs)
		ids(f.IDs)
	case Done:
		b = append(b, tagDone)
	}
	return b
}

// FrameError says why bytes are no frame. It is the sender's doing, always.
type FrameError string

const (
	// Oversize: more bytes, elements or ids than a frame may have or speak of.
	Oversize FrameError = "over_limit"
	// UnknownFrame: no such kind of frame, or no byte at all.
	UnknownFrame FrameError = "unknown_frame"
	// Truncated: the frame ends within an element.
	Truncated FrameError = "truncated"
	// Trailing: the frame goes on after its end.
	Trailing FrameError = "trailing_bytes"
	// BadVarint: a number that is not as short as can be.
	BadVarint FrameError = "bad_varint"
	// Empty: a list without elements where there must be some.
	Empty FrameError = "empty_list"
)

func (e FrameError) Error() string { return "recon: frame: " + string(e) }

// Decode reads the one byte form of a frame. The error is a FrameError; what is
// allocated is bounded by the bytes given. The frame shares no memory with them.
func Decode(b []byte) (Frame, error) {
	if len(b) > MaxFrame {
		return nil, Oversize
	}
	if len(b) == 0 {
		return nil, UnknownFrame
	}
	r := &reader{rest: b[1:]}
	var f Frame
	switch b[0] {
	case tagGreeting:
		g := Greeting{}
		copy(g.Salt[:], r.take(len(g.Salt)))
		f = g
	case tagOpen:
		f = r.open()
	case tagEqual:
		f = Equal{}
	case tagBusy:
		f = Busy{}
	case tagSymbols:
		f = Symbols{Size: r.number(MaxSize), From: r.number(MaxSymbols), Symbols: r.symbols()}
	case tagMore:
		f = More{Upto: r.number(MaxSymbols)}
	case tagAll:
		f = All{From: r.number(MaxSize)}
	case tagListing:
		f = Listing{Total: r.number(MaxSize), From: r.number(MaxSize), IDs: r.ids(0)}
	case tagNeed:
		f = Need{Shorts: r.shorts()}
	case tagIDs:
		f = IDs{IDs: r.ids(1)}
	case tagDone:
		f = Done{}
	default:
		return nil, UnknownFrame
	}
	if len(r.rest) > 0 {
		r.fail(Trailing)
	}
	if r.err != nil {
		return nil, r.err
	}
	return f, nil
}

// reader takes a frame apart. After an error it returns zeros.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail(err FrameError) {
	if r.err == nil {
		r.err = err
	}
	r.rest = nil
}

func (r *reader) take(n int) []byte {
	if len(r.rest) < n {
		r.fail(Truncated)
		return make([]byte, n)
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) number(limit int) int {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.rest)
	switch {
	case n == 0:
		r.fail(Truncated)
		return 0
	case n < 0 || n > 1 && r.rest[n-1] == 0:
		r.fail(BadVarint)
		return 0
	case v > uint64(limit):
		r.fail(Oversize)
		return 0
	}
	r.rest = r.rest[n:]
	return int(v)
}

// count says how many elements of the size given are left, at least least.
func (r *reader) count(size, least, limit int) int {
	n := len(r.rest) / size
	switch {
	case r.err != nil:
		return 0
	case len(r.rest)%size != 0:
		r.fail(Truncated)
		return 0
	case n < least:
		r.fail(Empty)
		return 0
	case n > limit:
		r.fail(Oversize)
		return 0
	}
	return n
}

func (r *reader) open() Open {
	o := Open{Size: r.number(MaxSize)}
	o.Sum = binary.LittleEndian.Uint64(r.take(8))
	o.Check = binary.LittleEndian.Uint32(r.take(4))
	copy(o.Counts[:], r.take(OpenCounts))
	return o
}

func (r *reader) symbols() []Symbol {
	list := make([]Symbol, r.count(SymbolSize, 1, MaxChunk))
	for i := range list {
		b := r.take(SymbolSize)
		list[i] = Symbol{
			Sum:   binary.LittleEndian.Uint64(b),
			Check: binary.LittleEndian.Uint32(b[8:]),
			Count: b[12],
		}
	}
	return list
}

func (r *reader) shorts() []Short {
	list := make([]Short, r.count(8, 1, MaxNeeds))
	for i := range list {
		list[i] = Short(binary.LittleEndian.Uint64(r.take(8)))
	}
	return list
}

func (r *reader) ids(least int) []wire.TxID {
	list := make([]wire.TxID, r.count(len(wire.TxID{}), least, MaxIDs))
	for i := range list {
		copy(list[i][:], r.take(len(list[i])))
	}
	return list
}
