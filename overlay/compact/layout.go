package compact

import "github.com/grapevine-p2p/grapevine/wire"

// Bounds of a coded block. Their reasons:
//
//   - A chunk of chunkTarget is worth its proof and framing, about 300 bytes or
//     2 %, and fits into what a connection may send before its first
//     acknowledgement (32 packets of 1,200 bytes), as MaxChunk still does.
//   - A block of 1 MiB has enough chunks to give each of 40 neighbours one of its
//     own. Larger blocks have larger chunks: more than MaxDataChunks would make
//     decoding dearer (its cost is lost chunks × data) and bring nothing, since no
//     node has as many neighbours.
//   - A fifth of the chunks, the parity, may be withheld by who was given them, and
//     nobody has to ask the producer twice. More would cost the producer's uplink
//     more than it saves.
const (
	// MinChunked is the least size of a body, in bytes, that is worth coding:
	// below, one answer brings all of it in a flight or two.
	MinChunked = 128 << 10
	// MaxDataChunks and MaxParityChunks bound the chunks of one block.
	MaxDataChunks   = 128
	MaxParityChunks = MaxDataChunks / 4
	MaxChunks       = MaxDataChunks + MaxParityChunks
	// MaxChunk bounds one chunk, in bytes.
	MaxChunk = wire.MaxBlock / MaxDataChunks

	chunkTarget = 16 << 10
	chunkAlign  = 64 // what the code's vector instructions take at once
)

// Layout says how the body of a block is cut: its transactions one after the other,
// padded with zeros, in Data pieces of Chunk bytes, and Parity pieces made of them. Any
// Data of all pieces give the body.
type Layout struct {
	Size   int // bytes of the body without padding
	Chunk  int // bytes of each piece
	Data   int
	Parity int
}

// Total is the number of chunks.
func (l Layout) Total() int { return l.Data + l.Parity }

// LayoutFor is the layout that this package's producers use for a body of so many
// bytes. ok is false for one that is not worth coding, or over the limit of a block.
func LayoutFor(size int) (l Layout, ok bool) {
	if size < MinChunked || size > wire.MaxBlock {
		return Layout{}, false
	}
	data := min(ceilDiv(size, chunkTarget), MaxDataChunks)
	return Layout{Size: size, Chunk: chunkSize(size, data), Data: data, Parity: ceilDiv(data, 4)}, true
}

// LayoutOf is what a header says. ok is false for a header without chunks and for one
// whose fields are out of bounds: such a block is sent in other ways, and nobody is to
// blame, since its body may be valid all the same.
func LayoutOf(h *wire.HeaderBody) (l Layout, ok bool) {
	size, data, parity := int(h.Size), int(h.ChunkData), int(h.ChunkParity)
	if h.ChunkRoot.IsZero() || size < 1 || size > wire.MaxBlock ||
		data < 1 || data > MaxDataChunks || parity < 1 || parity > MaxParityChunks {
		return Layout{}, false
	}
	chunk := chunkSize(size, data)
	if chunk > MaxChunk {
		return Layout{}, false
	}
	return Layout{Size: size, Chunk: chunk, Data: data, Parity: parity}, true
}

func chunkSize(size, data int) int {
	return ceilDiv(ceilDiv(size, data), chunkAlign) * chunkAlign
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
