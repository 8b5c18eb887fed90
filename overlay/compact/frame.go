package compact

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Bounds of frames, in bytes.
const (
	// MaxFill bounds the transactions of one Fill. What is missing of a block beyond it
	// comes as chunks, or in further rounds.
	MaxFill = 512 << 10
	// MaxFrame bounds every frame: a Fill with the places and lengths of as many
	// transactions as fit in.
	MaxFrame = MaxFill + MaxFill/wire.MinTx*8 + 1<<10
	// MaxPlaces bounds the places that one Fill names.
	MaxPlaces = MaxFill / wire.MinTx
)

// Frame is what travels between two nodes along a link: an [Ask], [Fill], [Have],
// [Want] or [Chunk]. On the wire it is a protobuf message,
//
//	message Frame {
//	  oneof frame { // below 16 are the fields of wire.CompactRequest
//	    Ask ask = 16;
//	    Fill fill = 17;
//	    Have have = 18;
//	    Want want = 19;
//	    Chunk chunk = 20;
//	  }
//	}
//
// whose parts ignore fields they do not know, so that versions can differ.
type Frame interface {
	// Of is the block that the frame is about.
	Of() wire.BlockID
	// AppendTo appends the frame's form on the wire.
	AppendTo(dst []byte) []byte
	// Size is about the number of bytes that AppendTo appends, not less.
	Size() int
}

// Numbers of the fields of Frame.
const (
	askField protowire.Number = 16 + iota
	fillField
	haveField
	wantField
	chunkField
)

// Ask asks for transactions by their places.
//
//	message Ask { bytes block = 1; uint32 id = 2; repeated uint32 places = 3; }
type Ask struct {
	Block  wire.BlockID
	ID     uint32   // repeated by the answers, not 0
	Places []uint32 // rising, up to wire.MaxBlockTxs
}

// Fill brings transactions: of its own accord, or for an Ask.
//
//	message Fill { bytes block = 1; uint32 id = 2; repeated uint32 places = 3; repeated bytes txs = 4; bool more = 5; bool proved = 6; }
type Fill struct {
	Block  wire.BlockID
	ID     uint32   // of the Ask; 0 is unasked
	Places []uint32 // rising, up to MaxPlaces
	Txs    [][]byte // as many, encoded
	// More promises the rest of what was asked for as soon as the sender has the body.
	More bool
	// Proved: the sender has held the body against tx_root. Otherwise it gives what it
	// knows by the short ids, and may be mistaken where they collide.
	Proved bool
}

// Have says what the sender has of a block; it only ever adds to what it said before.
//
//	message Have { bytes block = 1; bytes chunks = 2; bool whole = 3; bool seeking = 4; bool coming = 5; }
type Have struct {
	Block   wire.BlockID
	Chunks  Bitmap
	Whole   bool // the body, and so all of it
	Seeking bool // it lacks so much of the body that it collects chunks
	Coming  bool // the chunks named are on their way to the receiver, who need not ask
}

// Want asks for chunks that the receiver said to have.
//
//	message Want { bytes block = 1; bytes chunks = 2; }
type Want struct {
	Block  wire.BlockID
	Chunks Bitmap
}

// Chunk brings one chunk with its proof.
//
//	message Chunk { bytes block = 1; uint32 index = 2; bytes data = 3; repeated bytes proof = 4; bool pushed = 5; bool onward = 6; }
type Chunk struct {
	Block wire.BlockID
	Index int
	Data  []byte
	Proof []wire.Hash
	// Pushed: the receiver did not ask for it.
	Pushed bool
	// Onward: the receiver is the only one who was given this chunk, and is to give it
	// to all its neighbours who lack it.
	Onward bool
}

// Of implements Frame.
func (f *Ask) Of() wire.BlockID { return f.Block }

// Of implements Frame.
func (f *Fill) Of() wire.BlockID { return f.Block }

// Of implements Frame.
func (f *Have) Of() wire.BlockID { return f.Block }

// Of implements Frame.
func (f *Want) Of() wire.BlockID { return f.Block }

// Of implements Frame.
func (f *Chunk) Of() wire.BlockID { return f.Block }

const (
	frameHead   = 64 // tags, lengths and small fields of any frame, the block's id included
	fillPerTx   = 8  // of a Fill, besides the transaction
	bytesOfHash = 34
	placeBytes  = 3 // of a varint below wire.MaxBlockTxs
)

// Size implements Frame.
func (f *Ask) Size() int { return frameHead + placeBytes*len(f.Places) }

// Size implements Frame.
func (f *Fill) Size() int {
	n := frameHead + fillPerTx*len(f.Txs)
	for _, tx := range f.Txs {
		n += len(tx)
	}
	return n
}

// Size implements Frame.
func (f *Have) Size() int { return frameHead + 8*bitmapWords }

// Size implements Frame.
func (f *Want) Size() int { return frameHead + 8*bitmapWords }

// Size implements Frame.
func (f *Chunk) Size() int { return frameHead + len(f.Data) + bytesOfHash*len(f.Proof) }

// AppendTo implements Frame.
func (f *Ask) AppendTo(dst []byte) []byte {
	b := appendBytes(make([]byte, 0, f.Size()), 1, f.Block[:])
	b = appendUint(b, 2, uint64(f.ID))
	return appendBytes(dst, askField, appendPlaces(b, 3, f.Places))
}

// AppendTo implements Frame.
func (f *Fill) AppendTo(dst []byte) []byte {
	b := appendBytes(make([]byte, 0, f.Size()), 1, f.Block[:])
	b = appendUint(b, 2, uint64(f.ID))
	b = appendPlaces(b, 3, f.Places)
	for _, tx := range f.Txs {
		b = appendBytes(b, 4, tx)
	}
	b = appendBool(b, 5, f.More)
	return appendBytes(dst, fillField, appendBool(b, 6, f.Proved))
}

// AppendTo implements Frame.
func (f *Have) AppendTo(dst []byte) []byte {
	b := appendBytes(make([]byte, 0, f.Size()), 1, f.Block[:])
	if bits := f.Chunks.bytes(); len(bits) > 0 {
		b = appendBytes(b, 2, bits)
	}
	b = appendBool(b, 3, f.Whole)
	b = appendBool(b, 4, f.Seeking)
	return appendBytes(dst, haveField, appendBool(b, 5, f.Coming))
}

// AppendTo implements Frame.
func (f *Want) AppendTo(dst []byte) []byte {
	b := appendBytes(make([]byte, 0, f.Size()), 1, f.Block[:])
	if bits := f.Chunks.bytes(); len(bits) > 0 {
		b = appendBytes(b, 2, bits)
	}
	return appendBytes(dst, wantField, b)
}

// AppendTo implements Frame.
func (f *Chunk) AppendTo(dst []byte) []byte {
	b := appendBytes(make([]byte, 0, f.Size()), 1, f.Block[:])
	b = appendUint(b, 2, uint64(f.Index))
	b = appendBytes(b, 3, f.Data)
	for i := range f.Proof {
		b = appendBytes(b, 4, f.Proof[i][:])
	}
	b = appendBool(b, 5, f.Pushed)
	return appendBytes(dst, chunkField, appendBool(b, 6, f.Onward))
}

func appendBytes(dst []byte, num protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, num, protowire.BytesType), b)
}

func appendUint(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, num, protowire.VarintType), v)
}

func appendBool(dst []byte, num protowire.Number, v bool) []byte {
	if !v {
		return dst
	}
	return appendUint(dst, num, 1)
}

// appendPlaces writes a packed list.
func appendPlaces(dst []byte, num protowire.Number, places []uint32) []byte {
	if len(places) == 0 {
		return dst
	}
	size := 0
	for _, p := range places {
		size += protowire.SizeVarint(uint64(p))
	}
	dst = protowire.AppendVarint(protowire.AppendTag(dst, num, protowire.BytesType), uint64(size))
	for _, p := range places {
		dst = protowire.AppendVarint(dst, uint64(p))
	}
	return dst
}
