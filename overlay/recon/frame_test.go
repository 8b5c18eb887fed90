package recon_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/recon"
	"github.com/grapevine-p2p/grapevine/wire"
)

// everyFrame is one of each kind.
func everyFrame() map[string]recon.Frame {
	open := recon.Open{Size: 100_000, Sum: 0x0102030405060708, Check: 0x090a0b0c}
	for i := range open.Counts {
		open.Counts[i] = byte(0xf0 + i)
	}
	symbols := []recon.Symbol{{Sum: 1, Check: 2, Count: 3}, {Sum: 1<<64 - 1, Check: 1<<32 - 1, Count: 255}}
	ids := []wire.TxID{{1}, {2, 31: 9}}
	return map[string]recon.Frame{
		"greeting":      recon.Greeting{Salt: recon.Salt{1, 2, 3, 4, 5, 6, 7, 8}},
		"open":          open,
		"open of none":  recon.Open{},
		"equal":         recon.Equal{},
		"busy":          recon.Busy{},
		"symbols":       recon.Symbols{Size: 127, From: 128, Symbols: symbols},
		"more":          recon.More{Upto: recon.MaxSymbols},
		"all":           recon.All{From: 300},
		"listing":       recon.Listing{Total: recon.MaxSize, From: 2000, IDs: ids},
		"empty listing": recon.Listing{IDs: []wire.TxID{}},
		"need":          recon.Need{Shorts: []recon.Short{1, 1<<64 - 1}},
		"ids":           recon.IDs{IDs: ids},
		"done":          recon.Done{},
	}
}

func TestFramesComeOutAsTheyWentIn(t *testing.T) {
	for name, f := range everyFrame() {
		b := recon.Encode([]byte("before"), f)
		require.Equal(t, "before", string(b[:6]), name)
		got, err := recon.Decode(b[6:])
		require.NoError(t, err, name)
		require.Equal(t, f, got, name)
		for cut := range b[6:] {
			got, err := recon.Decode(b[6 : 6+cut])
			if err == nil { // a list may end earlier
				require.Equal(t, b[6:6+cut], recon.Encode(nil, got), name)
				continue
			}
			var fault recon.FrameError
			require.ErrorAs(t, err, &fault, name)
		}
	}
}

// TestLargestFrames are within the limit of a frame.
func TestLargestFrames(t *testing.T) {
	for _, f := range []recon.Frame{
		recon.Symbols{Size: recon.MaxSize, From: recon.MaxSymbols, Symbols: make([]recon.Symbol, recon.MaxChunk)},
		recon.Listing{Total: recon.MaxSize, From: recon.MaxSize, IDs: make([]wire.TxID, recon.MaxIDs)},
		recon.Need{Shorts: make([]recon.Short, recon.MaxNeeds)},
		recon.IDs{IDs: make([]wire.TxID, recon.MaxIDs)},
	} {
		b := recon.Encode(nil, f)
		require.LessOrEqual(t, len(b), recon.MaxFrame, "%T", f)
		_, err := recon.Decode(b)
		require.NoError(t, err, "%T", f)
	}
	one := recon.Encode(nil, recon.Symbols{Symbols: make([]recon.Symbol, 1)})
	require.Len(t, one, 3+recon.SymbolSize)
	require.LessOrEqual(t, recon.SymbolSize, 13)
}

func TestBadFrames(t *testing.T) {
	symbols := func(n int) []byte {
		return append([]byte{5, 0, 0}, make([]byte, n*recon.SymbolSize)...)
	}
	for name, c := range map[string]struct {
		b    []byte
		want recon.FrameError
	}{
		"nothing":                        {nil, recon.UnknownFrame},
		"kind 0":                         {[]byte{0}, recon.UnknownFrame},
		"kind 12":                        {[]byte{12}, recon.UnknownFrame},
		"kind 255":                       {[]byte{255, 1, 2}, recon.UnknownFrame},
		"over the limit":                 {make([]byte, recon.MaxFrame+1), recon.Oversize},
		"half a salt":                    {[]byte{1, 2, 3, 4}, recon.Truncated},
		"a salt and more":                {make([]byte, 1+9), recon.UnknownFrame},
		"greeting and more":              {append([]byte{1}, make([]byte, 9)...), recon.Trailing},
		"equal and more":                 {[]byte{3, 0}, recon.Trailing},
		"no symbol (capacity 0)":         {symbols(0), recon.Empty},
		"too many symbols":               {symbols(recon.MaxChunk + 1), recon.Oversize},
		"symbols of another width":       {append(symbols(2), 0), recon.Truncated},
		"symbols from 2^31":              {append([]byte{5, 0, 0x80, 0x80, 0x80, 0x80, 8}, make([]byte, 13)...), recon.Oversize},
		"more up to 2^31":                {[]byte{6, 0x80, 0x80, 0x80, 0x80, 8}, recon.Oversize},
		"more up to 2^70":                {[]byte{6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, recon.BadVarint},
		"a varint longer than need be":   {[]byte{6, 0x81, 0}, recon.BadVarint},
		"a varint cut short":             {[]byte{6, 0x81}, recon.Truncated},
		"a set of a billion":             {append([]byte{2, 0x80, 0x94, 0xeb, 0xdc, 3}, make([]byte, 36)...), recon.Oversize},
		"nothing needed":                 {[]byte{9}, recon.Empty},
		"no ids":                         {[]byte{10}, recon.Empty},
		"half an id":                     {append([]byte{10}, make([]byte, 33)...), recon.Truncated},
		"open with a count too few":      {append([]byte{2, 1}, make([]byte, 35)...), recon.Truncated},
		"open with a count too many":     {append([]byte{2, 1}, make([]byte, 37)...), recon.Trailing},
		"symbols without where they are": {[]byte{5, 1}, recon.Truncated},
	} {
		f, err := recon.Decode(c.b)
		require.ErrorIs(t, err, c.want, name)
		require.Nil(t, f, name)
	}
}

// FuzzFrame is any bytes: a frame has one byte form, or is none.
func FuzzFrame(f *testing.F) {
	for _, frame := range everyFrame() {
		f.Add(recon.Encode(nil, frame))
	}
	f.Add([]byte{6, 0x81, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := recon.Decode(b)
		if err != nil {
			if _, ok := err.(recon.FrameError); !ok {
				t.Fatalf("an error that is no FrameError: %v", err)
			}
			return
		}
		if again := recon.Encode(nil, frame); !bytes.Equal(b, again) {
			t.Fatalf("two byte forms for one frame:\n in %x\nout %x", b, again)
		}
	})
}
