package overlay

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Whatever is there of an answer, its header is found when it is whole, and nothing else is.
func TestHeaderAtStart(t *testing.T) {
	header := bytes.Repeat([]byte{7}, 300)
	block := protowire.AppendTag(nil, blockHeader, protowire.BytesType)
	block = protowire.AppendBytes(block, header)
	block = append(block, bytes.Repeat([]byte{9}, 5000)...)
	answer := (&wire.SyncAnswer{ID: 1 << 40, Status: 3, Block: block}).AppendTo(nil)
	whole := bytes.LastIndexByte(answer, 7) + 1
	for n := range answer {
		got := headerAtStart(answer[:n])
		if n < whole {
			require.Nil(t, got, n)
		} else {
			require.Equal(t, header, got, n)
		}
	}
	require.Nil(t, headerAtStart((&wire.SyncAnswer{ID: 1, Headers: [][]byte{header}}).AppendTo(nil)), "no block")
	require.Nil(t, headerAtStart((&wire.SyncAnswer{ID: 1, Block: block[2:]}).AppendTo(nil)), "no header first")
}
