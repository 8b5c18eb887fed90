package overlay

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
)

// pipeStream is a stream that reads from a pipe, however long that takes.
type pipeStream struct {
	network.Stream // nil
	pipe           net.Conn
}

func (s pipeStream) Read(b []byte) (int, error) { return s.pipe.Read(b) }

func (s pipeStream) SetReadDeadline(time.Time) error { return nil }

// R102: a frame is told of when its first bytes are known, and again when all of it is there.
func TestFrameIsToldOfWhileItComes(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	s := newBoundedStream(t.Context(), pipeStream{pipe: ours}, streamBounds{frame: 5000},
		rate.NewLimiter(1e9, 1<<20), func(context.Context) error { return nil }, func(error) {})
	began, ended := make(chan []byte, 1), make(chan struct{}, 1)
	s.coming = func(head []byte) func() {
		began <- bytes.Clone(head)
		return func() { ended <- struct{}{} }
	}
	read := make(chan error, 1)
	go func() { read <- s.next() }()
	frame := bytes.Repeat([]byte{0x7a, 0}, 2000) // empty elements
	_, err := theirs.Write(append(binary.AppendUvarint(nil, uint64(len(frame))), frame[:frameHead]...))
	require.NoError(t, err)
	require.Equal(t, frame[:frameHead], <-began)
	require.Empty(t, ended)
	require.NoError(t, theirs.Close())
	require.Error(t, <-read)
	require.Len(t, ended, 1, "a frame that is cut is over as well")
}
