package overlay

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func framed(b []byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(b))), b...) }

func TestReadFrame(t *testing.T) {
	const limit = 1000
	for name, test := range map[string]struct {
		in   []byte
		want []byte
		err  error
	}{
		"empty frame":           {[]byte{0}, nil, nil},
		"one byte":              {[]byte{1, 7}, []byte{7}, nil},
		"at the limit":          {framed(make([]byte, limit)), make([]byte, limit), nil},
		"over the limit":        {framed(make([]byte, limit+1)), nil, FrameTooLarge},
		"2^63":                  {binary.AppendUvarint(nil, 1<<63), nil, FramePrefix},
		"2^64-1":                {binary.AppendUvarint(nil, math.MaxUint64), nil, FramePrefix},
		"2^32":                  {binary.AppendUvarint(nil, 1<<32), nil, FrameTooLarge},
		"not minimal":           {[]byte{0x81, 0x00, 7}, nil, FramePrefix},
		"zero, not minimal":     {[]byte{0x80, 0x00}, nil, FramePrefix},
		"prefix without end":    {bytes.Repeat([]byte{0x80}, 20), nil, FramePrefix},
		"nothing":               {nil, nil, io.EOF},
		"cut in the prefix":     {[]byte{0x85}, nil, FrameCut},
		"cut after the prefix":  {[]byte{5}, nil, FrameCut},
		"cut in the body":       {[]byte{5, 1, 2}, nil, FrameCut},
		"cut far into the body": {framed(make([]byte, limit))[:limit], nil, FrameCut},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{bytes.NewReader(test.in), iotest.OneByteReader(bytes.NewReader(test.in))} {
				got, err := readFrame(bufio.NewReader(r), limit)
				require.ErrorIs(t, err, test.err)
				require.Equal(t, test.want, got)
			}
		})
	}
}

// A length that is only announced costs nothing.
//
// R4: no allocation from an announced length.
func TestReadFrameGrowsWithBytes(t *testing.T) {
	in := append(binary.AppendUvarint(nil, 64<<20), make([]byte, 10)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		_, err := readFrame(bufio.NewReader(bytes.NewReader(in)), 64<<20)
		require.ErrorIs(t, err, FrameCut)
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20))
}

func TestWriteFrameIsReadBack(t *testing.T) {
	for _, size := range []int{0, 1, 127, 128, 5000, 1 << 20} {
		var buf bytes.Buffer
		b := bytes.Repeat([]byte{9}, size)
		require.NoError(t, writeFrame(&buf, b))
		got, err := readFrame(bufio.NewReader(&buf), 1<<20)
		require.NoError(t, err)
		require.True(t, bytes.Equal(b, got))
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{3, 1, 2, 3})
	f.Add([]byte{0x81, 0x00})
	f.Add(binary.AppendUvarint(nil, 1<<63))
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 256
		got, err := readFrame(bufio.NewReader(bytes.NewReader(in)), limit)
		if err != nil {
			var bad FrameError
			if !errors.As(err, &bad) && !errors.Is(err, io.EOF) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if len(got) > limit || !bytes.HasPrefix(in, framed(got)) {
			t.Fatalf("in %x\nout %x", in, got)
		}
	})
}
