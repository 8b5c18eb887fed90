package overlay

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// FrameError says what is wrong with a length-delimited frame. It is the sender's doing.
type FrameError string

const (
	// FramePrefix: the length is not a minimal varint of at most 32 bits.
	FramePrefix FrameError = "length prefix is not a minimal varint"
	// FrameTooLarge: the announced length is over the limit of the protocol.
	FrameTooLarge FrameError = "announced length over limit"
	// FrameCut: the stream ended inside a frame.
	FrameCut FrameError = "stream ended inside a frame"
	// FrameTooMany: the frame holds more elements than any honest sender puts there.
	FrameTooMany FrameError = "too many elements"
	// FrameEmptyElement: an element without content, which costs its receiver more than its sender.
	FrameEmptyElement FrameError = "empty element"
	// FrameBomb: so many of those, or of topics with longer names than any honest one, that no
	// fault of a client explains them.
	FrameBomb FrameError = "full of what only costs its receiver"
	// FrameGarbage: the frame is not protobuf.
	FrameGarbage FrameError = "not protobuf"
	// FrameSlow: the frame took longer than its deadline.
	FrameSlow FrameError = "frame not complete within its deadline"
)

func (e FrameError) Error() string { return "overlay: frame: " + string(e) }

// growStep is the most that is allocated ahead of the bytes that came in: an announced
// length alone must cost us nothing.
const growStep = 4 << 10

// maxPrefix is the longest length prefix: no limit of ours needs more than 32 bits.
const maxPrefix = 5

// readFrame reads one varint-length-delimited frame of at most limit bytes. Memory
// grows with the bytes that arrive, not with the length that was announced. A stream
// that ends before the first byte gives io.EOF.
func readFrame(r *bufio.Reader, limit int) ([]byte, error) {
	n, err := readPrefix(r, limit)
	if err != nil {
		return nil, err
	}
	return readBody(r, nil, n)
}

// readPrefix reads the length in front of a frame.
func readPrefix(r io.ByteReader, limit int) (int, error) {
	var n uint64
	for i := range maxPrefix {
		b, err := r.ReadByte()
		if err != nil {
			if i > 0 && errors.Is(err, io.EOF) {
				return 0, FrameCut
			}
			return 0, err
		}
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			if b == 0 && i > 0 {
				return 0, FramePrefix
			}
			if n > uint64(limit) {
				return 0, fmt.Errorf("%w: %d > %d", FrameTooLarge, n, limit)
			}
			return int(n), nil
		}
	}
	return 0, FramePrefix
}

// readLength reads the length in front of a frame that has begun on s, takes it from what the peer may
// send by spend, and sets the deadline for the rest: the whole frame has the time within.
//
// Backpressure: beyond its budget a peer's stream is simply read later. That wait is ours, so it does
// not count against the peer's deadline.
func readLength(s interface{ SetReadDeadline(t time.Time) error }, in io.ByteReader, limit int, within time.Duration, spend func(n int) error) (int, error) {
	// Errors of deadlines are those of a closed stream, which the reads report.
	end := time.Now().Add(within)
	_ = s.SetReadDeadline(end)
	n, err := readPrefix(in, limit)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := spend(max(n, frameCharge)); err != nil {
		return 0, err
	}
	_ = s.SetReadDeadline(end.Add(time.Since(began)))
	return n, nil
}

// readBody appends n bytes of r to dst.
func readBody(r io.Reader, dst []byte, n int) ([]byte, error) {
	for n > 0 {
		step := min(n, max(growStep, len(dst)))
		at := len(dst)
		dst = append(dst, make([]byte, step)...)
		got, err := io.ReadFull(r, dst[at:])
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil, FrameCut
			}
			return nil, err
		}
		n -= got
	}
	return dst, nil
}

// copiedFrame is the largest frame that is copied behind its length.
const copiedFrame = 32 << 10

// writeFrame writes one frame. A small one goes in a single Write, so that it travels in
// as few packets as its size allows; a large one is not copied for that.
func writeFrame(w io.Writer, frame []byte) error {
	if len(frame) > copiedFrame {
		if _, err := w.Write(binary.AppendUvarint(nil, uint64(len(frame)))); err != nil {
			return err
		}
		_, err := w.Write(frame)
		return err
	}
	buf := make([]byte, 0, binary.MaxVarintLen32+len(frame))
	buf = binary.AppendUvarint(buf, uint64(len(frame)))
	_, err := w.Write(append(buf, frame...))
	return err
}
