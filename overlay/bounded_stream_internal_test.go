package overlay

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/encoding/protowire"
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

// timedStream is a pipeStream with deadlines.
type timedStream struct{ pipeStream }

func (s timedStream) SetReadDeadline(t time.Time) error { return s.pipe.SetReadDeadline(t) }

// R37, R39: a frame has one time for all of it, from its first byte to its last: a length that comes
// late leaves less for the body, and bytes that drip in win nothing. What we ourselves let a peer wait
// for is not taken from it, and no more is added.
func TestFrameTimeIsThatOfAWholeFrame(t *testing.T) {
	const (
		frameTime = 20 * time.Second
		late      = 15 * time.Second // the length
		size      = 64 << 10
		burst     = 64
	)
	prefix := binary.AppendUvarint(nil, size)
	for name, test := range map[string]struct {
		pause time.Duration // ours
		body  time.Duration // when all of it comes after the length and the pause; 0: it drips
		want  time.Duration
		err   error
	}{
		"it drips":                {0, 0, frameTime, FrameSlow},
		"in time":                 {0, 4 * time.Second, late + 4*time.Second, nil},
		"late":                    {0, 6 * time.Second, frameTime, FrameSlow},
		"it drips, after a pause": {time.Minute, 0, frameTime + time.Minute, FrameSlow},
		"in time, after a pause":  {time.Minute, 4 * time.Second, late + time.Minute + 4*time.Second, nil},
		"too late, after a pause": {time.Minute, 6 * time.Second, frameTime + time.Minute, FrameSlow},
		"in time, a short pause":  {time.Second, 4 * time.Second, late + 5*time.Second, nil},
		"too late, a short pause": {time.Second, 6 * time.Second, frameTime + time.Second, FrameSlow},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				defer theirs.Close()
				budget := rate.NewLimiter(rate.Inf, burst)
				if test.pause > 0 {
					budget = rate.NewLimiter(rate.Limit((size-burst)/test.pause.Seconds()), burst)
				}
				s := newBoundedStream(t.Context(), timedStream{pipeStream{pipe: ours}}, streamBounds{
					frame: size, firstFrame: time.Second, frameTime: frameTime, scan: scanLimits{Messages: 1},
				}, budget, func(context.Context) error { return nil }, func(error) {})
				began := time.Now()
				said := make(chan struct{})
				go func() {
					defer close(said)
					_, _ = theirs.Write(prefix[:1])
					time.Sleep(late)
					_, _ = theirs.Write(prefix[1:])
					time.Sleep(test.pause + test.body)
					for b := []byte{rpcPublish<<3 | 2}; test.body == 0; time.Sleep(time.Second) {
						if _, err := theirs.Write(b); err != nil {
							return
						}
					}
					_, _ = theirs.Write(protowire.AppendBytes([]byte{rpcPublish<<3 | 2}, make([]byte, size-4)))
				}()
				require.ErrorIs(t, s.next(), test.err)
				require.InDelta(t, test.want, time.Since(began), float64(time.Millisecond)) // the budget's own arithmetic
				_ = ours.Close()
				<-said
			})
		})
	}
}

// R85: a stream on which nothing comes is given up when its first frame is due, also while its peer's
// hello is not settled. One on which something came waits for that, however long it takes.
func TestSilentStreamDoesNotWaitForAHello(t *testing.T) {
	const firstFrame, hello = 10 * time.Second, 25 * time.Second
	for name, test := range map[string]struct {
		says func(conn net.Conn)
		want time.Duration
		err  error
	}{
		"silent":   {func(net.Conn) {}, firstFrame, os.ErrDeadlineExceeded},
		"at once":  {func(conn net.Conn) { _, _ = conn.Write([]byte{0}) }, hello, nil},
		"at last":  {func(conn net.Conn) { time.Sleep(firstFrame - 1); _, _ = conn.Write([]byte{0}) }, hello, nil},
		"too late": {func(conn net.Conn) { time.Sleep(firstFrame + 1); _, _ = conn.Write([]byte{0}) }, firstFrame, os.ErrDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				defer theirs.Close()
				began := time.Now()
				s := newBoundedStream(t.Context(), timedStream{pipeStream{pipe: ours}}, streamBounds{
					frame: 1, firstFrame: firstFrame, frameTime: time.Second,
				}, rate.NewLimiter(rate.Inf, 1), func(context.Context) error {
					time.Sleep(time.Until(began.Add(hello)))
					return nil
				}, func(err error) { t.Error(err) })
				said := make(chan struct{})
				go func() {
					defer close(said)
					test.says(theirs)
				}()
				require.ErrorIs(t, s.next(), test.err)
				require.Equal(t, test.want, time.Since(began))
				_ = ours.Close()
				<-said
			})
		})
	}
}
