package overlay

import (
	"context"
	"encoding/binary"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// othersAtOnce is how many peers outside the mesh get a header of ours at a time.
	othersAtOnce = 4
	// How long each waits for those before it, at most. A peer that does not read must not
	// hold up the others for long: a header has some 40 KB of a first flight, and is written
	// within a round trip.
	othersPatience = 150 * time.Millisecond
	bodyPatience   = 200 * time.Millisecond
	txPatience     = 25 * time.Millisecond
	// headerHold is how long a header counts that is being written: who does not read it holds up
	// a part of a body once, as long as that waits anyway, and not each that follows.
	headerHold = bodyPatience
	// txPiece bounds the bytes of transactions that are handed to a connection at a time, and
	// so what is before a block in its queue.
	txPiece = 16 << 10
	// besidePiece is the same for a stream beside the topic, of which a connection has several.
	besidePiece = 4 << 10
	// publishing is how long the router may take to hand a header of ours to its writers.
	publishing = 5 * time.Millisecond
)

// lane orders what leaves this node: all connections share an uplink, and a header that is
// sent to forty peers at once arrives late at each. Headers go to the mesh first, then to
// others, a few at a time; then bodies, and transactions. A write counts until the transport
// has taken it, which over QUIC means that it was sent. Nobody waits longer than its patience.
type lane struct {
	full func(peer.ID) bool // constant: whether transactions wait for the line of a peer
	lull lull

	mu     sync.Mutex // guards what follows
	mesh   int        // headers that are being written to the mesh
	others int        // and to other peers
	queued int        // headers to other peers that wait
	freed  chan struct{}
}

func newLane(full func(peer.ID) bool) *lane {
	return &lane{full: full, freed: make(chan struct{})}
}

// hold keeps everything but headers to the mesh back until release is called.
func (l *lane) hold() (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lull.pass()
	l.mesh++
	return l.leaving(&l.mesh)
}

// leaving returns what is to be called once a header is written, which otherwise happens of
// itself. Calling it again does nothing.
func (l *lane) leaving(count *int) (done func()) {
	leave := sync.OnceFunc(func() { l.leave(count) })
	timer := time.AfterFunc(headerHold, leave)
	return func() {
		timer.Stop()
		leave()
	}
}

func (l *lane) leave(count *int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*count--
	close(l.freed)
	l.freed = make(chan struct{})
	if l.idle() {
		time.AfterFunc(publishing, l.passed)
	}
}

// passed ends the lull if no header has followed.
func (l *lane) passed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.idle() {
		l.lull.passed()
	}
}

// header waits for the turn of a header to a peer. The caller calls done once it is written.
func (l *lane) header(ctx context.Context, inMesh bool) (done func()) {
	if inMesh {
		return l.hold()
	}
	l.mu.Lock()
	l.queued++
	l.mu.Unlock()
	claimed := l.wait(ctx, othersPatience, func() bool {
		if l.mesh > 0 || l.others >= othersAtOnce {
			return false
		}
		l.queued--
		l.others++
		return true
	})
	if !claimed {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.queued--
		l.others++
	}
	return l.leaving(&l.others)
}

// hearHeaders returns what is to be told of frames of the block topic that begin to come in,
// and returns what is to be told of their ends. Only headers from the mesh are worth a lull.
func (l *lane) hearHeaders(mesh *links) func(from peer.ID, head []byte) (done func()) {
	return func(from peer.ID, head []byte) (done func()) {
		if !beginsBlock(head) || !mesh.has(from) {
			return func() {}
		}
		return l.lull.hear(from)
	}
}

// writeHeaders returns how frames of the block topic, an RPC with its length before it each, are
// written.
func (l *lane) writeHeaders(mesh *links) func(context.Context, network.Stream, peer.ID, []byte) (int, error) {
	return func(ctx context.Context, s network.Stream, p peer.ID, frame []byte) (int, error) {
		if _, n := binary.Uvarint(frame); n > 0 && beginsBlock(frame[n:]) {
			defer l.header(ctx, mesh.has(p))()
		}
		return s.Write(frame)
	}
}

// beginsBlock reports whether an RPC of the block topic that begins so carries a block, of
// whatever size, and not control, subscriptions or evidence. Routers write the messages of an
// RPC before its control, and subscriptions by themselves; of a message, its data first.
func beginsBlock(rpc []byte) bool {
	message, ok := afterTag(rpc, rpcPublish)
	if !ok {
		return false
	}
	data, ok := afterTag(message, messageData)
	return ok && len(data) > 0 && !wire.IsEvidence(data)
}

// afterTag returns what is there of a field of bytes that b begins with.
func afterTag(b []byte, field protowire.Number) (value []byte, ok bool) {
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 || num != field || typ != protowire.BytesType {
		return nil, false
	}
	_, k := protowire.ConsumeVarint(b[n:])
	if k < 0 {
		return nil, false
	}
	return b[n+k:], true
}

// writeTxs writes an RPC of the transaction topic, piece by piece.
func (l *lane) writeTxs(ctx context.Context, s network.Stream, p peer.ID, rpc []byte) (n int, err error) {
	return writePieces(s, rpc, txPiece, func() { l.txs(ctx, p) })
}

// writePieces writes b in pieces of that size, each when its turn has come.
func writePieces(w io.Writer, b []byte, size int, turn func()) (n int, err error) {
	for piece := range slices.Chunk(b, size) {
		turn()
		k, err := w.Write(piece)
		if n += k; err != nil {
			return n, err
		}
	}
	return n, nil
}

// beside is where transactions are written to a peer beside the topic: what it asked for, or
// was told of.
func (l *lane) beside(ctx context.Context, w io.Writer) io.Writer { return besideWriter{ctx, l, w} }

type besideWriter struct {
	ctx  context.Context //nolint:containedctx // of one exchange
	lane *lane
	to   io.Writer
}

// Write implements io.Writer.
func (w besideWriter) Write(b []byte) (n int, err error) {
	return writePieces(w.to, b, besidePiece, func() {
		w.lane.wait(w.ctx, txPatience, w.lane.idle)
		w.lane.lull.wait(w.ctx)
	})
}

// body waits for the turn of a part of a body.
func (l *lane) body(ctx context.Context) { l.wait(ctx, bodyPatience, l.idle) }

// txs waits for the turn of transactions to a peer.
func (l *lane) txs(ctx context.Context, p peer.ID) {
	l.wait(ctx, txPatience, l.idle)
	if l.full(p) {
		l.lull.wait(ctx)
	}
}

func (l *lane) idle() bool { return l.mesh+l.others+l.queued == 0 }

// wait returns true as soon as ok does, which is asked with mu held, and false when the
// patience is over.
func (l *lane) wait(ctx context.Context, patience time.Duration, ok func() bool) bool {
	var over <-chan time.Time
	for {
		l.mu.Lock()
		free, freed := ok(), l.freed
		l.mu.Unlock()
		if free {
			return true
		}
		if over == nil {
			timer := time.NewTimer(patience)
			defer timer.Stop()
			over = timer.C
		}
		select {
		case <-freed:
		case <-over:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
