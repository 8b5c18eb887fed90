package node

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
)

// Yamux sends in the order of writing, 64 writes ahead, and its windows let a stream that is
// always full have megabytes on the way. Over QUIC streams take turns, over TCP a block would
// wait behind all that.
const (
	// maxUnsent bounds what all streams of one connection have between them and the kernel,
	// but for one piece of each: a header of a large block has as much.
	maxUnsent = 32 << 10

	// maxPiece bounds what a stream writes before it is another's turn.
	maxPiece = 16 << 10
)

// shallowMuxer is a muxer over frames like yamux's, with a short queue.
type shallowMuxer struct{ network.Multiplexer }

// NewConn implements network.Multiplexer.
func (m shallowMuxer) NewConn(c net.Conn, server bool, scope network.PeerScope) (network.MuxedConn, error) {
	q := new(unsent)
	inner, err := m.Multiplexer.NewConn(&sendingConn{c, q}, server, scope)
	if err != nil {
		return nil, err
	}
	return &shallowConn{inner, q}, nil
}

// unsent counts what streams have written and the connection has not, and lets streams write
// in turn: who has just written waits behind those that wait.
type unsent struct {
	mu      sync.Mutex // guards what follows
	bytes   int        // for a moment below zero where something was sent before its writer could count it
	over    bool       // the connection is closed
	waiting []chan struct{}
	let     int // that waited, may write, and have not noticed yet
}

// add counts bytes written, or, where n is negative, sent.
func (u *unsent) add(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bytes += n
	u.letLocked()
}

// end lets everybody through.
func (u *unsent) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.over = true
	u.letLocked()
}

func (u *unsent) freeLocked() bool { return u.over || u.bytes < maxUnsent && u.let == 0 }

// letLocked lets all that wait write a piece each: one may be kept from it by its own reader,
// which must not hold up the others.
func (u *unsent) letLocked() {
	if !u.freeLocked() {
		return
	}
	for _, c := range u.waiting {
		close(c)
	}
	u.let += len(u.waiting)
	u.waiting = nil
}

// wait returns when it is the caller's turn and there is room, or stop is closed.
func (u *unsent) wait(stop <-chan struct{}) {
	u.mu.Lock()
	if u.freeLocked() {
		u.mu.Unlock()
		return
	}
	turn := make(chan struct{})
	u.waiting = append(u.waiting, turn)
	u.mu.Unlock()
	select {
	case <-turn:
	case <-stop:
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if k := slices.Index(u.waiting, turn); k >= 0 {
		u.waiting = slices.Delete(u.waiting, k, k+1)
		return
	}
	u.let--
	u.letLocked()
}

// sendingConn is what the muxer writes its frames to, one with each call.
type sendingConn struct {
	net.Conn
	unsent *unsent
}

const (
	frameHeader = 12 // bytes; the second tells the type
	dataFrame   = 0
)

// Write implements net.Conn.
func (c *sendingConn) Write(frame []byte) (int, error) {
	n, err := c.Conn.Write(frame)
	if len(frame) > frameHeader && frame[1] == dataFrame {
		c.unsent.add(frameHeader - len(frame))
	}
	return n, err
}

// Close implements net.Conn.
func (c *sendingConn) Close() error {
	c.unsent.end()
	return c.Conn.Close()
}

// shallowConn is a connection whose streams wait for each other.
type shallowConn struct {
	network.MuxedConn
	unsent *unsent
}

// OpenStream implements network.MuxedConn.
func (c *shallowConn) OpenStream(ctx context.Context) (network.MuxedStream, error) {
	return c.stream(c.MuxedConn.OpenStream(ctx))
}

// AcceptStream implements network.MuxedConn.
func (c *shallowConn) AcceptStream() (network.MuxedStream, error) {
	return c.stream(c.MuxedConn.AcceptStream())
}

func (c *shallowConn) stream(s network.MuxedStream, err error) (network.MuxedStream, error) {
	if err != nil {
		return nil, err
	}
	return &shallowStream{MuxedStream: s, unsent: c.unsent, patience: newPatience()}, nil
}

// shallowStream writes piece by piece, and waits before each for room. Whatever ends the wait
// otherwise (a deadline, the end of the stream), the write itself then says.
type shallowStream struct {
	network.MuxedStream
	unsent   *unsent
	patience *patience
}

// Write implements network.MuxedStream.
func (s *shallowStream) Write(b []byte) (n int, err error) {
	for {
		piece := b[n:min(len(b), n+maxPiece)]
		s.unsent.wait(s.patience.over())
		k, err := s.MuxedStream.Write(piece)
		s.unsent.add(k)
		if n += k; err != nil || n == len(b) {
			return n, err
		}
	}
}

// SetDeadline implements network.MuxedStream.
func (s *shallowStream) SetDeadline(t time.Time) error {
	err := s.MuxedStream.SetDeadline(t)
	s.patience.until(t)
	return err
}

// SetWriteDeadline implements network.MuxedStream.
func (s *shallowStream) SetWriteDeadline(t time.Time) error {
	err := s.MuxedStream.SetWriteDeadline(t)
	s.patience.until(t)
	return err
}

// Close implements network.MuxedStream.
func (s *shallowStream) Close() error {
	err := s.MuxedStream.Close()
	s.patience.end()
	return err
}

// CloseWrite implements network.MuxedStream.
func (s *shallowStream) CloseWrite() error {
	err := s.MuxedStream.CloseWrite()
	s.patience.end()
	return err
}

// Reset implements network.MuxedStream.
func (s *shallowStream) Reset() error {
	err := s.MuxedStream.Reset()
	s.patience.end()
	return err
}

// ResetWithError implements network.MuxedStream.
func (s *shallowStream) ResetWithError(code network.StreamErrorCode) error {
	err := s.MuxedStream.ResetWithError(code)
	s.patience.end()
	return err
}

// shallowSecurity is a security of connections of which the kernel holds little.
type shallowSecurity struct{ sec.SecureTransport }

// SecureInbound implements sec.SecureTransport.
func (s shallowSecurity) SecureInbound(ctx context.Context, c net.Conn, p peer.ID) (sec.SecureConn, error) {
	boundKernel(c)
	return s.SecureTransport.SecureInbound(ctx, c, p)
}

// SecureOutbound implements sec.SecureTransport.
func (s shallowSecurity) SecureOutbound(ctx context.Context, c net.Conn, p peer.ID) (sec.SecureConn, error) {
	boundKernel(c)
	return s.SecureTransport.SecureOutbound(ctx, c, p)
}

// patience is how long a stream waits: until a time, or its end.
type patience struct {
	mu    sync.Mutex // guards what follows
	ended bool
	gone  chan struct{} // closed when it is over
	timer *time.Timer   // closes gone; nil without a deadline to come
}

func newPatience() *patience { return &patience{gone: make(chan struct{})} }

func (p *patience) over() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

// until sets when it is over; the zero time is never.
func (p *patience) until(t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	over := p.stopLocked()
	if p.ended {
		return
	}
	left := time.Until(t)
	if !t.IsZero() && left <= 0 {
		if !over {
			close(p.gone)
		}
		return
	}
	if over {
		p.gone = make(chan struct{})
	}
	if !t.IsZero() {
		gone := p.gone
		p.timer = time.AfterFunc(left, func() { close(gone) })
	}
}

// end is for good.
func (p *patience) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	over := p.stopLocked()
	if p.ended = true; !over {
		close(p.gone)
	}
}

// stopLocked says whether it was over before.
func (p *patience) stopLocked() (over bool) {
	if p.timer != nil && !p.timer.Stop() {
		<-p.gone // the timer is just closing it
	}
	p.timer = nil
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}
