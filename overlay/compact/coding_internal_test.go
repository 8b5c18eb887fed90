package compact

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/wire"
)

// bodies makes n transactions of about size bytes.
func bodies(n, size int) []*wire.Transaction {
	txs := make([]*wire.Transaction, n)
	for i := range txs {
		body := bytes.Repeat([]byte{byte(i)}, max(size-70, 8))
		binary.LittleEndian.PutUint64(body, uint64(i))
		txs[i] = wire.NewTransaction(body, wire.Signature{})
	}
	return txs
}

func sizeOf(txs []*wire.Transaction) (n int) {
	for _, tx := range txs {
		n += tx.Size()
	}
	return n
}

// TestLayouts: every size has a layout within the bounds, and the header's numbers give
// the same one back.
func TestLayouts(t *testing.T) {
	for _, size := range []int{0, 1, MinChunked - 1} {
		_, ok := LayoutFor(size)
		require.False(t, ok, size)
	}
	_, ok := LayoutFor(wire.MaxBlock + 1)
	require.False(t, ok)
	for size := MinChunked; size <= wire.MaxBlock; size += 4_099 {
		l, ok := LayoutFor(size)
		require.True(t, ok)
		require.LessOrEqual(t, l.Data, MaxDataChunks)
		require.LessOrEqual(t, l.Parity, MaxParityChunks)
		require.LessOrEqual(t, l.Chunk, MaxChunk)
		require.GreaterOrEqual(t, l.Data*l.Chunk, size)
		require.GreaterOrEqual(t, 5*l.Parity, l.Total(), "a fifth may be withheld")
		again, ok := LayoutOf(&wire.HeaderBody{Size: uint32(size), ChunkRoot: wire.Hash{1}, ChunkData: uint32(l.Data), ChunkParity: uint32(l.Parity)})
		require.True(t, ok)
		require.Equal(t, l, again)
	}
	good := wire.HeaderBody{Size: 1 << 20, ChunkRoot: wire.Hash{1}, ChunkData: 64, ChunkParity: 16}
	for name, change := range map[string]func(*wire.HeaderBody){
		"no root":         func(h *wire.HeaderBody) { h.ChunkRoot = wire.Hash{} },
		"no data":         func(h *wire.HeaderBody) { h.ChunkData = 0 },
		"no parity":       func(h *wire.HeaderBody) { h.ChunkParity = 0 },
		"much data":       func(h *wire.HeaderBody) { h.ChunkData = MaxDataChunks + 1 },
		"much parity":     func(h *wire.HeaderBody) { h.ChunkParity = MaxParityChunks + 1 },
		"huge":            func(h *wire.HeaderBody) { h.ChunkData = 1<<32 - 1 },
		"no size":         func(h *wire.HeaderBody) { h.Size = 0 },
		"size over limit": func(h *wire.HeaderBody) { h.Size = wire.MaxBlock + 1 },
		"large chunks":    func(h *wire.HeaderBody) { h.ChunkData = 4 },
	} {
		h := good
		change(&h)
		_, ok := LayoutOf(&h)
		require.False(t, ok, name)
	}
}

// naiveRoot is the definition: the left subtree is the largest complete one that leaves
// something for the right.
func naiveRoot(chunks [][]byte) wire.Hash {
	if len(chunks) == 1 {
		return chunkLeaf(chunks[0])
	}
	left := 1
	for 2*left < len(chunks) {
		left *= 2
	}
	return chunkNode(naiveRoot(chunks[:left]), naiveRoot(chunks[left:]))
}

func TestProofs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, MaxChunks).Draw(t, "chunks")
		chunks := make([][]byte, n)
		for i := range chunks {
			chunks[i] = []byte{byte(i), 7}
		}
		tree := newTree(chunks)
		root := tree.root()
		require.Equal(t, naiveRoot(chunks), root)
		for i := range chunks {
			proof := tree.proof(i)
			require.LessOrEqual(t, len(proof), MaxProof)
			require.True(t, proves(root, chunks[i], i, n, proof))
			require.False(t, proves(root, []byte("other"), i, n, proof), "another chunk")
			require.False(t, proves(root, chunks[i], (i+1)%n, n, proof) && n > 1, "another place")
			require.False(t, proves(root, chunks[i], i, n, append([]wire.Hash{{}}, proof...)), "a longer proof")
			require.False(t, proves(root, chunks[i], i, n, append(slices.Clone(proof), wire.Hash{})), "a longer proof")
			if len(proof) > 0 {
				require.False(t, proves(root, chunks[i], i, n, proof[1:]), "a shorter proof")
				proof[rapid.IntRange(0, len(proof)-1).Draw(t, "at")][3] ^= 1
				require.False(t, proves(root, chunks[i], i, n, proof), "a bent proof")
			}
		}
		require.False(t, proves(root, chunks[0], -1, n, tree.proof(0)))
		require.False(t, proves(root, chunks[0], n, n, tree.proof(0)))
	})
}

// TestAnyChunksGiveTheBody: as many chunks as there are of data, whichever, give it back.
func TestAnyChunksGiveTheBody(t *testing.T) {
	txs := bodies(700, 260)
	l, ok := LayoutFor(sizeOf(txs))
	require.True(t, ok)
	coded, err := Encode(l, txs)
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.Permutation(all(l.Total()).list()).Draw(t, "order")
		chunks := make([][]byte, l.Total())
		for _, i := range order[:l.Data] {
			p := coded.piece(i)
			require.True(t, proves(coded.Root(), p.data, i, l.Total(), p.proof))
			chunks[i] = p.data
		}
		got, err := decode(l, len(txs), chunks)
		require.NoError(t, err)
		require.Equal(t, idsOf(txs), idsOf(got))
	})
	few := make([][]byte, l.Total())
	for i := range l.Data - 1 {
		few[i] = coded.chunks[i]
	}
	_, err = decode(l, len(txs), few)
	require.Error(t, err)
	require.NotErrorIs(t, err, BadCoding, "too few chunks prove nothing")
}

func (b Bitmap) list() (out []int) {
	for i := range b.each {
		out = append(out, i)
	}
	return out
}

func TestEncodeRefusesAnotherSize(t *testing.T) {
	txs := bodies(700, 260)
	l, _ := LayoutFor(sizeOf(txs))
	_, err := Encode(l, txs[1:])
	require.Error(t, err)
	_, err = Encode(Layout{}, nil)
	require.Error(t, err)
}

// TestCut: a body is its transactions and nothing else.
func TestCut(t *testing.T) {
	txs := bodies(3, 200)
	var body []byte
	for _, tx := range txs {
		body = append(body, tx.Bytes()...)
	}
	got, err := cut(body, 3)
	require.NoError(t, err)
	require.Equal(t, idsOf(txs), idsOf(got))
	for name, c := range map[string]struct {
		body  []byte
		count int
	}{
		"one more byte":   {append(bytes.Clone(body), 0), 3},
		"cut short":       {body[:len(body)-1], 3},
		"fewer":           {body, 4},
		"more":            {body, 2},
		"none":            {nil, 1},
		"garbage":         {bytes.Repeat([]byte{0xff}, 300), 1},
		"huge length":     {append([]byte{bodyTag, 0xff, 0xff, 0xff, 0xff, 0x0f}, make([]byte, 100)...), 1},
		"overlong length": {append([]byte{bodyTag, 0x81, 0x00, 9, sealTag, 64}, make([]byte, 64)...), 1},
	} {
		_, err := cut(c.body, c.count)
		require.ErrorIs(t, err, BadCoding, name)
	}
}

func FuzzCut(f *testing.F) {
	var body []byte
	for _, tx := range bodies(3, 90) {
		body = append(body, tx.Bytes()...)
	}
	f.Add(body, uint16(3))
	f.Add(body[:100], uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, n uint16) {
		count := int(n)
		txs, err := cut(b, count)
		if err != nil {
			return
		}
		var again []byte
		for _, tx := range txs {
			again = append(again, tx.Bytes()...)
		}
		if !bytes.Equal(b, again) || len(txs) != count {
			t.Fatalf("%x is not %x", again, b)
		}
	})
}

func BenchmarkEncode1MiB(b *testing.B) {
	txs := bodies(4_200, 250)
	l, _ := LayoutFor(sizeOf(txs))
	b.SetBytes(int64(l.Size))
	for b.Loop() {
		if _, err := Encode(l, txs); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecode4MiB is the dearest case: as much parity as there is.
func BenchmarkDecode4MiB(b *testing.B) {
	txs := bodies(16_000, 250)
	l, _ := LayoutFor(sizeOf(txs))
	coded, err := Encode(l, txs)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(l.Size))
	for b.Loop() {
		chunks := make([][]byte, l.Total())
		copy(chunks[l.Parity:], coded.chunks[l.Parity:])
		if _, err := decode(l, len(txs), chunks); err != nil {
			b.Fatal(err)
		}
	}
}
