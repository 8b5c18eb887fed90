package overlay

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/encoding/protowire"
)

// controlAhead is how many frames without messages are read before pubsub takes them.
const controlAhead = 4

// queuedStream is a boundedStream whose messages wait their turn in a sluice. It reads
// ahead, so that there is something to choose from when not all can be taken; what is no
// message (subscriptions, control) goes to pubsub at once.
type queuedStream struct {
	*boundedStream // owned by pump

	peer   peer.ID // constant
	topic  string
	sluice *sluice
	onward *outflow // to those that the messages are passed on to
	berth  *berth
	admit  admitFunc
	paced  *rate.Limiter // for all peers, bytes that are no messages; may be nil
	rest   chan []byte   // frames without messages
	ended  chan struct{} // closed when pump is over
	err    error         // set before ended is closed

	ready  []byte // owned by the reader: what pubsub has not read of a frame
	framed []byte // its buffer
}

// admitFunc holds one RPC against the budgets of its sender. named refers to bytes that last
// until it returns.
type admitFunc func(rest elements, named *names, messages []parcel) ruling

func newQueuedStream(b *boundedStream, p peer.ID, topic string, s *sluice, onward *outflow, admit admitFunc) *queuedStream {
	return &queuedStream{
		boundedStream: b, peer: p, topic: topic, sluice: s, onward: onward, berth: s.enter(p), admit: admit,
		rest: make(chan []byte, controlAhead), ended: make(chan struct{}),
	}
}

// pump reads the stream until it ends or ctx does.
func (s *queuedStream) pump(ctx context.Context) {
	defer close(s.ended)
	for {
		if s.err = s.next(); s.err != nil {
			return
		}
		named := newNames(len(s.body()))
		rest, messages, others := splitRPC(s.body(), s.topic, named)
		s.unread = nil
		named.bytes = len(rest)
		r := s.admit(others, named, messages)
		switch {
		case !r.rest:
			rest = nil
		case r.keep != others:
			rest = truncate(rest, r.keep)
		default:
			rest = slices.Clone(rest)
		}
		if len(rest) > 0 {
			select {
			case s.rest <- rest:
			case <-ctx.Done():
				s.err = ctx.Err()
				return
			}
		}
		for _, m := range r.messages {
			if s.err = s.sluice.put(ctx, s.peer, m); s.err != nil {
				return
			}
		}
		if s.paced != nil {
			if s.err = waitFor(ctx, s.paced, r.paced); s.err != nil {
				return
			}
		}
	}
}

// inject gives pubsub a frame that the peer did not send, unless it is behind with those
// that it did.
func (s *queuedStream) inject(rpc []byte) {
	select {
	case s.rest <- rpc:
	default:
	}
}

// Read gives pubsub what was let through. A stream that has ended is read to its end.
func (s *queuedStream) Read(p []byte) (int, error) {
	for len(s.ready) == 0 {
		if err := s.turn(); err != nil {
			return 0, s.fail(err)
		}
	}
	n := copy(p, s.ready)
	s.ready = s.ready[n:]
	return n, nil
}

// turn waits for the next frame.
func (s *queuedStream) turn() error {
	ended := s.ended
	for {
		select {
		case rest := <-s.rest:
			s.frameOf(rest)
			return nil
		case <-s.berth.wake:
			if err := s.onward.yield(s.ctx); err != nil {
				return err
			}
			messages, more := s.sluice.fetch(s.peer, s.bounds.frame)
			if more {
				s.berth.wakeUp()
			}
			if len(messages) > 0 {
				s.frameOf(joinRPC(messages))
				return nil
			}
			ended = s.ended
		case <-ended:
			// What a peer said before it closed counts; what one said that was cut does not.
			if !errors.Is(s.err, io.EOF) || len(s.rest) == 0 && s.sluice.idle(s.peer) {
				return s.err
			}
			ended = nil // until what waits is let through, which wakes us
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
}

func (s *queuedStream) frameOf(rpc []byte) {
	if cap(s.framed) > keepBuffer {
		s.framed = nil
	}
	s.framed = append(binary.AppendUvarint(s.framed[:0], uint64(len(rpc))), rpc...)
	s.ready = s.framed
}

// Field numbers of a pubsub message.
const (
	messageData  = 2
	messageTopic = 4
)

// splitRPC takes the messages of one topic out of an encoded RPC, which prescan has passed.
// Those of other topics are left out. rest is what remains, which may be bytes of rpc, others
// counts what it holds, and named is told by which ids it names messages.
func splitRPC(rpc []byte, topic string, named *names) (rest []byte, messages []parcel, others elements) {
	for len(rpc) > 0 {
		num, typ, tag := protowire.ConsumeTag(rpc)
		n := tag + max(0, protowire.ConsumeFieldValue(num, typ, rpc[tag:]))
		value := func() []byte {
			b, _ := protowire.ConsumeBytes(rpc[tag:])
			return b
		}
		if num == rpcPublish && typ == protowire.BytesType {
			raw := value()
			if data, ok := dataOf(raw, topic); ok {
				messages = append(messages, parcel{slices.Clone(raw), classOf(data)})
			} else {
				others.units++
			}
			rpc = rpc[n:]
			continue
		}
		if rest == nil {
			rest = rpc[:n:n] // all of it, most of the time
		} else {
			rest = append(rest, rpc[:n]...)
		}
		others.units++
		switch {
		case typ != protowire.BytesType:
		case num == rpcSubscriptions:
			others.subscriptions++
		case num == rpcControl:
			others.countControl(value(), named)
		}
		rpc = rpc[n:]
	}
	return rest, messages, others
}

// dataOf is what an encoded message carries, if it is of that topic.
func dataOf(message []byte, topic string) (data []byte, ok bool) {
	err := fields(message, func(num protowire.Number, typ protowire.Type, value []byte) error {
		switch {
		case typ != protowire.BytesType:
		case num == messageData:
			data = value
		case num == messageTopic:
			ok = string(value) == topic
		}
		return nil
	})
	return data, ok && err == nil
}

// joinRPC is an RPC of messages.
func joinRPC(messages []parcel) []byte {
	size := 0
	for _, m := range messages {
		size += 1 + protowire.SizeBytes(len(m.raw))
	}
	rpc := make([]byte, 0, size)
	for _, m := range messages {
		rpc = protowire.AppendTag(rpc, rpcPublish, protowire.BytesType)
		rpc = protowire.AppendBytes(rpc, m.raw)
	}
	return rpc
}
