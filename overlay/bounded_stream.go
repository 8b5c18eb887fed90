package overlay

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"golang.org/x/time/rate"
)

// frameCharge is the least that a frame costs of its sender's byte budget: a frame of
// one byte costs us far more than one byte.
const frameCharge = 64

// frameHead is how much of a frame tells what it is.
const frameHead = 16

// keepBuffer is the largest buffer that a quiet stream keeps: a list of the longest sort that
// a router announces fits in.
const keepBuffer = 128 << 10

// streamBounds bound what comes in on one stream of pubsub.
type streamBounds struct {
	frame      int           // bytes
	firstFrame time.Duration // from opening to the first frame
	frameTime  time.Duration // from a frame's first byte to its last
	scan       scanLimits
}

// boundedStream is an inbound stream of pubsub. pubsub itself would allocate an
// announced length at once, wait for ever for it, and count elements only once it has
// made objects of them. So every frame is read and scanned here, and pubsub reads only
// frames that are complete and within bounds.
type boundedStream struct {
	network.Stream // constant

	bounds streamBounds
	budget *rate.Limiter
	ctx    context.Context             //nolint:containedctx // that of Run: pubsub's Read has none
	admit  func(context.Context) error // waits until the peer may talk to pubsub
	fault  func(error)                 // told of a frame that breaks a bound
	coming func(head []byte) func()    // told how a frame begins, returns what is called at its end; may be nil

	in     *bufio.Reader // owned by the one reader
	frame  []byte        // the current frame with its length prefix
	unread []byte        // of frame
	prefix int           // bytes of frame before its body
	opened bool          // the first frame has begun, and the peer may talk to pubsub
}

func newBoundedStream(ctx context.Context, s network.Stream, b streamBounds, budget *rate.Limiter,
	admit func(context.Context) error, fault func(error),
) *boundedStream {
	return &boundedStream{
		Stream: s, bounds: b, budget: budget, ctx: ctx, admit: admit, fault: fault,
		in: bufio.NewReader(s),
	}
}

// Read gives the bytes of complete frames. A frame over a bound resets the stream.
func (s *boundedStream) Read(p []byte) (int, error) {
	if len(s.unread) == 0 {
		if err := s.next(); err != nil {
			return 0, s.fail(err)
		}
	}
	n := copy(p, s.unread)
	s.unread = s.unread[n:]
	return n, nil
}

// fail ends a stream that did not end by itself, and returns err.
func (s *boundedStream) fail(err error) error {
	if !errors.Is(err, io.EOF) {
		_ = s.ResetWithError(network.StreamProtocolViolation)
	}
	return err
}

// body is the current frame without its length.
func (s *boundedStream) body() []byte { return s.frame[s.prefix:] }

// next reads the next frame.
func (s *boundedStream) next() error {
	idle := time.Time{}
	if !s.opened {
		idle = time.Now().Add(s.bounds.firstFrame)
	}
	if cap(s.frame) > keepBuffer {
		s.frame = nil
	}
	// Errors of deadlines are those of a closed stream, which the read reports.
	_ = s.SetReadDeadline(idle)
	if _, err := s.in.Peek(1); err != nil {
		return err
	}
	if !s.opened {
		// A stream on which nothing comes is not held for as long as a hello may take, and one
		// on which something came waits for it.
		if err := s.admit(s.ctx); err != nil {
			return err
		}
		s.opened = true
	}
	err := s.readFrame()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = FrameSlow
	}
	var bad FrameError
	if errors.As(err, &bad) {
		s.fault(err)
	}
	return err
}

func (s *boundedStream) readFrame() error {
	n, err := readLength(s, s.in, s.bounds.frame, s.bounds.frameTime, s.spend)
	if err != nil {
		return err
	}
	if s.coming != nil {
		head, _ := s.in.Peek(min(n, frameHead)) // the error is that of the read below
		defer s.coming(head)()
	}
	frame := binary.AppendUvarint(s.frame[:0], uint64(n))
	s.prefix = len(frame)
	if frame, err = readBody(s.in, frame, n); err != nil {
		return err
	}
	if err := prescan(frame[s.prefix:], s.bounds.scan); err != nil {
		return err
	}
	s.frame, s.unread = frame, frame
	return nil
}

func (s *boundedStream) spend(n int) error { return waitFor(s.ctx, s.budget, n) }
