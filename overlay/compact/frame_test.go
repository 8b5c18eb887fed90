package compact_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/wire"
)

func frames() []compact.Frame {
	id := wire.BlockID{1, 2, 3}
	tx := transactions(1, 1, 100)[0].Bytes()
	var chunks compact.Bitmap
	chunks.Set(0)
	chunks.Set(compact.MaxChunks - 1)
	return []compact.Frame{
		&compact.Ask{Block: id, ID: 7, Places: []uint32{0, 5, 300, wire.MaxBlockTxs - 1}},
		&compact.Fill{Block: id, Places: []uint32{3, 4}, Txs: [][]byte{tx, tx}},
		&compact.Fill{Block: id, ID: 1<<32 - 1, More: true, Proved: true},
		&compact.Have{Block: id, Chunks: chunks, Whole: true, Seeking: true, Coming: true},
		&compact.Have{Block: id},
		&compact.Want{Block: id, Chunks: chunks},
		&compact.Chunk{Block: id, Index: compact.MaxChunks - 1, Data: bytes.Repeat([]byte{9}, 64), Proof: make([]wire.Hash, compact.MaxProof), Pushed: true, Onward: true},
		&compact.Chunk{Block: id, Data: []byte{1}},
	}
}

func TestFramesComeBack(t *testing.T) {
	for _, f := range frames() {
		b := f.AppendTo(nil)
		require.LessOrEqual(t, len(b), f.Size())
		got, err := compact.Decode(b)
		require.NoError(t, err)
		require.Equal(t, f, got)
		require.Equal(t, wire.BlockID{1, 2, 3}, got.Of())
		for n := range b {
			_, err := compact.Decode(b[:n])
			require.ErrorIs(t, err, compact.Garbage, "%T cut to %d", f, n)
		}
		_, err = compact.Decode(append(b, 0))
		require.ErrorIs(t, err, wire.TrailingBytes)
	}
}

// field is one length-delimited field.
func field(num protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), bytes.Join(parts, nil))
}

func number(num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
}

// R5: a frame of another version is no fault.
func TestNewerFrames(t *testing.T) {
	f, err := compact.Decode(field(40, []byte("what is this")))
	require.NoError(t, err)
	require.Nil(t, f)
	id := field(1, make([]byte, 32))
	f, err = compact.Decode(field(19, id, number(9, 5), field(77, []byte("new"))))
	require.NoError(t, err)
	require.Equal(t, &compact.Want{}, f)
}

// R4: what is over a limit is refused before anything is made of it.
func TestBadFrames(t *testing.T) {
	id := field(1, make([]byte, 32))
	tx := transactions(1, 1, 100)[0].Bytes()
	many := func(n int, f []byte) []byte { return bytes.Repeat(f, n) }
	ones := func(n int) []byte { // n rising places
		var b []byte
		for i := range n {
			b = protowire.AppendVarint(b, uint64(i))
		}
		return b
	}
	for name, c := range map[string]struct {
		frame []byte
		kind  error
	}{
		"empty":                {nil, wire.Missing},
		"too large":            {make([]byte, compact.MaxFrame+1), wire.TooLarge},
		"no block":             {field(16, number(2, 1), field(3, []byte{1})), wire.Missing},
		"short block":          {field(16, field(1, make([]byte, 31))), wire.WrongLength},
		"block twice":          {field(18, id, id), wire.WrongType},
		"number as bytes":      {field(16, id, field(2, []byte{1})), wire.WrongType},
		"a group":              {field(18, id, protowire.AppendTag(nil, 9, protowire.StartGroupType)), wire.Truncated},
		"unknown fields":       {field(18, id, many(17, number(9, 1))), wire.TooMany},
		"a large unknown":      {field(18, id, field(9, make([]byte, 256))), wire.TooLarge},
		"large unknowns":       {field(18, id, many(2, field(77, make([]byte, 128)))), wire.TooLarge},
		"no places":            {field(16, id, number(2, 1)), wire.Missing},
		"ask for nothing":      {field(16, id, number(2, 1), field(3, nil)), wire.Missing},
		"ask of number 0":      {field(16, id, number(2, 0), field(3, []byte{1})), wire.Missing},
		"falling places":       {field(16, id, number(2, 1), field(3, []byte{5, 4})), wire.NotCanonical},
		"a place twice":        {field(16, id, number(2, 1), field(3, []byte{5, 5})), wire.NotCanonical},
		"place beyond a block": {field(16, id, number(2, 1), field(3, protowire.AppendVarint(nil, wire.MaxBlockTxs))), wire.TooLarge},
		"places beyond a fill": {field(17, id, field(3, ones(compact.MaxPlaces+1))), wire.TooMany},
		"places without txs":   {field(17, id, field(3, []byte{5})), wire.WrongLength},
		"txs without places":   {field(17, id, field(4, tx)), wire.WrongLength},
		"a tiny tx":            {field(17, id, field(3, []byte{5}), field(4, []byte{1})), wire.WrongLength},
		"large txs":            {field(17, id, many(4, field(4, make([]byte, wire.MaxTx))), field(4, tx)), wire.TooMany},
		"a bit too many":       {field(18, id, field(2, make([]byte, 25))), wire.TooLarge},
		"a bool of two":        {field(18, id, number(3, 2)), wire.TooLarge},
		"chunk without data":   {field(20, id), wire.Missing},
		"chunk too large":      {field(20, id, field(3, make([]byte, compact.MaxChunk+1))), wire.TooLarge},
		"chunk number":         {field(20, id, number(2, compact.MaxChunks), field(3, []byte{1})), wire.TooLarge},
		"long proof":           {field(20, id, field(3, []byte{1}), many(compact.MaxProof+1, field(4, make([]byte, 32)))), wire.TooMany},
		"short hash":           {field(20, id, field(3, []byte{1}), field(4, make([]byte, 31))), wire.WrongLength},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := compact.Decode(c.frame)
			require.ErrorIs(t, err, compact.Garbage)
			require.ErrorIs(t, err, c.kind)
			require.Nil(t, f)
		})
	}
}

// R95: a first frame tells a stream of frames from a request.
func TestFramesAreNoRequests(t *testing.T) {
	for _, f := range frames() {
		require.True(t, compact.IsFrame(f.AppendTo(nil)))
	}
	for _, q := range []wire.CompactRequest{{ID: 1, Block: wire.BlockID{1}, Whole: true}, {ID: 1, Block: wire.BlockID{1}, Indexes: []uint32{1}}} {
		require.False(t, compact.IsFrame(q.AppendTo(nil)))
	}
	require.False(t, compact.IsFrame(nil))
}

func FuzzDecode(f *testing.F) {
	for _, frame := range frames() {
		f.Add(frame.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := compact.Decode(b)
		if err != nil || frame == nil {
			require.Nil(t, frame)
			return
		}
		again, err := compact.Decode(frame.AppendTo(nil))
		require.NoError(t, err)
		require.Equal(t, frame, again)
		require.LessOrEqual(t, len(frame.AppendTo(nil)), frame.Size())
	})
}
