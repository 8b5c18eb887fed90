package node

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/stretchr/testify/require"
)

// stalling is a connection that takes nothing until it is opened.
type stalling struct {
	net.Conn
	open, shut chan struct{}
	once       sync.Once
}

func newStalling() *stalling { return &stalling{open: make(chan struct{}), shut: make(chan struct{})} }

func (c *stalling) Write(frame []byte) (int, error) {
	select {
	case <-c.open:
	case <-c.shut:
	}
	return c.Conn.Write(frame)
}

func (c *stalling) Close() error {
	c.once.Do(func() { close(c.shut) })
	return c.Conn.Close()
}

// joined are two ends of a connection over a pipe, of which the first writes to line.
func joined(t *testing.T, line *stalling, m network.Multiplexer) (near, far network.MuxedConn) {
	t.Helper()
	a, b := net.Pipe()
	line.Conn = a
	near, err := m.NewConn(line, false, nil)
	require.NoError(t, err)
	far, err = m.NewConn(b, true, nil)
	require.NoError(t, err)
	return near, far
}

// fill writes to a stream without end.
func fill(s network.MuxedStream, accepted *int) {
	for {
		n, err := s.Write(make([]byte, 4096))
		if *accepted += n; err != nil {
			return
		}
	}
}

// R101: on a line that takes nothing, streams that write without end have no more before others
// than a block's header; with the library's own queue it is their whole windows, that of
// each 256 KB to begin with.
func TestShortQueue(t *testing.T) {
	const streams = 3
	for name, c := range map[string]struct {
		muxer       network.Multiplexer
		least, most int
	}{
		"short":   {shallowMuxer{yamux.DefaultTransport}, 1, maxUnsent + (streams+1)*maxPiece},
		"yamux's": {yamux.DefaultTransport, 2 * (maxUnsent + (streams+1)*maxPiece), 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				line := newStalling()
				near, far := joined(t, line, c.muxer)
				var opened [streams]network.MuxedStream
				for i := range opened { // before the line is full, or the last waits for it
					s, err := near.OpenStream(t.Context())
					require.NoError(t, err)
					opened[i] = s
				}
				var accepted [streams]int
				for i, s := range opened {
					go fill(s, &accepted[i])
				}
				synctest.Wait()
				sum := 0
				for _, n := range accepted {
					sum += n
				}
				require.GreaterOrEqual(t, sum, c.least)
				require.LessOrEqual(t, sum, c.most)
				close(line.open)
				require.NoError(t, near.Close())
				require.NoError(t, far.Close())
			})
		})
	}
}

// counted counts what goes out, and tells the count when a frame of that size does.
type counted struct {
	net.Conn
	out   atomic.Int64
	frame int
	seen  chan int64
}

func (c *counted) Write(frame []byte) (int, error) {
	out := c.out.Add(int64(len(frame)))
	if len(frame) == c.frame {
		c.seen <- out
	}
	return c.Conn.Write(frame)
}

// R101: a stream that has something to send now and then has its turn while others fill the line,
// each time.
func TestShortQueueIsShared(t *testing.T) {
	const streams, small = 3, 1_000
	a, b := net.Pipe()
	line := &counted{Conn: a, frame: frameHeader + small, seen: make(chan int64, 1)}
	muxer := shallowMuxer{yamux.DefaultTransport}
	near, err := muxer.NewConn(line, false, nil)
	require.NoError(t, err)
	far, err := muxer.NewConn(b, true, nil)
	require.NoError(t, err)
	open := func() network.MuxedStream {
		w, err := near.OpenStream(t.Context())
		require.NoError(t, err)
		_, err = w.Write([]byte{0}) // or the other end hears of it later
		require.NoError(t, err)
		r, err := far.AcceptStream()
		require.NoError(t, err)
		go func() { _, _ = io.Copy(io.Discard, r) }()
		return w
	}
	late := open()
	for range streams - 1 {
		go fill(open(), new(int))
	}
	passed := 0 // by more than a turn of each
	for range 200 {
		time.Sleep(time.Millisecond)
		before := line.out.Load()
		_, err := late.Write(make([]byte, small))
		require.NoError(t, err)
		if <-line.seen-before > 2*(maxUnsent+streams*maxPiece) {
			passed++
		}
	}
	t.Logf("%d of 200 passed", passed)
	require.LessOrEqual(t, passed, 10, "this machine may have had something else to do a few times")
	require.NoError(t, near.Close())
	require.NoError(t, far.Close())
}

// What is written arrives as it was, whole, however the pieces were cut.
func TestShortQueueLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := newStalling()
		close(line.open)
		near, far := joined(t, line, shallowMuxer{yamux.DefaultTransport})
		sent := make([]byte, 1<<20+7)
		for i := range sent {
			sent[i] = byte(i * i >> 8)
		}
		s, err := near.OpenStream(t.Context())
		require.NoError(t, err)
		go func() {
			n, err := s.Write(sent)
			require.NoError(t, err)
			require.Equal(t, len(sent), n)
			require.NoError(t, s.CloseWrite())
		}()
		r, err := far.AcceptStream()
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, sent, got)
		_, err = s.Write([]byte{1})
		require.Error(t, err, "it was closed for writing")
		n, err := r.Write(nil)
		require.NoError(t, err)
		require.Zero(t, n)
		require.NoError(t, near.Close())
		require.NoError(t, far.Close())
	})
}

// A stream that waits for room waits no longer than its deadline, and no longer than it or
// the connection is open.
func TestShortQueueLetsGo(t *testing.T) {
	for name, let := range map[string]func(s network.MuxedStream, c network.MuxedConn){
		"deadline":    func(s network.MuxedStream, _ network.MuxedConn) { _ = s.SetWriteDeadline(time.Now().Add(time.Second)) },
		"past":        func(s network.MuxedStream, _ network.MuxedConn) { _ = s.SetDeadline(time.Now().Add(-time.Second)) },
		"close":       func(s network.MuxedStream, _ network.MuxedConn) { _ = s.Close() },
		"close write": func(s network.MuxedStream, _ network.MuxedConn) { _ = s.CloseWrite() },
		"reset":       func(s network.MuxedStream, _ network.MuxedConn) { _ = s.Reset() },
		"code":        func(s network.MuxedStream, _ network.MuxedConn) { _ = s.ResetWithError(1) },
		"connection":  func(_ network.MuxedStream, c network.MuxedConn) { _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				line := newStalling()
				near, far := joined(t, line, shallowMuxer{yamux.DefaultTransport})
				s, err := near.OpenStream(t.Context())
				require.NoError(t, err)
				ended := make(chan error, 1)
				go func() {
					for {
						if _, err := s.Write(make([]byte, maxPiece)); err != nil {
							ended <- err
							return
						}
					}
				}()
				synctest.Wait()
				require.Empty(t, ended)
				done := make(chan struct{})
				go func() { // the library waits for the line with some of these
					let(s, near)
					close(done)
				}()
				time.Sleep(2 * time.Second)
				select {
				case err := <-ended:
					require.Error(t, err)
				default:
					require.Fail(t, "it waits still")
				}
				close(line.open)
				<-done
				require.NoError(t, near.Close())
				require.NoError(t, far.Close())
			})
		})
	}
}

// A deadline that was moved is the one that holds.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := func(p *patience) bool {
			synctest.Wait()
			select {
			case <-p.over():
				return true
			default:
				return false
			}
		}
		p := newPatience()
		require.False(t, over(p))
		p.until(time.Now().Add(time.Second))
		time.Sleep(time.Second / 2)
		p.until(time.Now().Add(time.Second))
		time.Sleep(3 * time.Second / 4)
		require.False(t, over(p), "it was put off")
		time.Sleep(time.Second)
		require.True(t, over(p))
		p.until(time.Time{})
		require.False(t, over(p), "it has all the time again")
		p.until(time.Now())
		p.until(time.Now())
		require.True(t, over(p))
		p.until(time.Now().Add(time.Minute))
		require.False(t, over(p))
		p.end()
		p.end()
		require.True(t, over(p))
		p.until(time.Time{})
		require.True(t, over(p), "for good")
	})
}
