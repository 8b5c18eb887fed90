package attack

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"google.golang.org/protobuf/proto"
)

const (
	// queued and queuedBytes bound what waits for a peer that reads more slowly
	// than we write; what comes on top is not sent, so that an attacker's own
	// memory is no figure of the run. One frame may always wait.
	queued      = 512
	queuedBytes = 512 << 10

	// largest is the most that an attacker reads at once; more than any honest
	// peer sends.
	largest = 16 << 20
)

// routers are the GossipSub instances that a peer may have, each by the
// protocols it speaks. The newest versions want extensions exchanged first,
// which no attack needs.
var routers = [][]protocol.ID{
	{"/meshsub/1.2.0", "/meshsub/1.1.0"},
	{"/grapevine/blocks/meshsub/1.2.0"},
}

// line is the way to one peer's router.
type line struct {
	peer   peer.ID // constant
	router int     // constant; index in routers
	out    chan []byte
	bytes  atomic.Int64 // in out

	// Owned by the node's goroutine.
	told   map[string]bool // topics that we told the peer we are in
	theirs map[string]bool // topics that the peer is in
	mesh   map[string]bool // topics in whose mesh we are with the peer
}

func newLine(p peer.ID, router int) *line {
	return &line{
		peer: p, router: router, out: make(chan []byte, queued),
		told: make(map[string]bool), theirs: make(map[string]bool), mesh: make(map[string]bool),
	}
}

// raw sends bytes as one frame, and says whether there was room for it. Only
// the node's goroutine calls it.
func (l *line) raw(frame []byte) bool {
	if waiting := l.bytes.Load(); waiting > 0 && waiting+int64(len(frame)) > queuedBytes {
		return false
	}
	select {
	case l.out <- frame:
		l.bytes.Add(int64(len(frame)))
		return true
	default:
		return false
	}
}

// drain drops what waits.
func (l *line) drain() {
	for {
		select {
		case b := <-l.out:
			l.bytes.Add(-int64(len(b)))
		default:
			return
		}
	}
}

func (l *line) send(rpc *pb.RPC) bool {
	b, err := proto.Marshal(rpc)
	return err == nil && l.raw(b)
}

func (l *line) publish(m *pb.Message) bool { return l.send(&pb.RPC{Publish: []*pb.Message{m}}) }

func (l *line) control(c *pb.ControlMessage) bool { return l.send(&pb.RPC{Control: c}) }

// write sends what is queued until ctx or the stream ends.
func (l *line) write(ctx context.Context, s network.Stream) error {
	for {
		select {
		case <-ctx.Done():
			return s.Reset()
		case b := <-l.out:
			l.bytes.Add(-int64(len(b)))
			if err := writeFrame(s, b); err != nil {
				_ = s.Reset()
				return err
			}
		}
	}
}

func writeFrame(w io.Writer, b []byte) error {
	_, err := w.Write(append(binary.AppendUvarint(make([]byte, 0, len(b)+binary.MaxVarintLen32), uint64(len(b))), b...))
	return err
}

func readFrame(r *bufio.Reader) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if n > largest {
		return nil, fmt.Errorf("attack: a frame of %d bytes, want at most %d", n, largest)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return b, err
}
