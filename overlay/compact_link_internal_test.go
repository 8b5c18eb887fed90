package overlay

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/wire"
)

// resettingHost is connected to peers that reset each stream as soon as it is written to.
type resettingHost struct {
	host.Host // nil
	opened    []weak.Pointer[resetStream]
	asked     int // for the connections of a peer
}

func (h *resettingHost) NewStream(context.Context, peer.ID, ...protocol.ID) (network.Stream, error) {
	s := &resetStream{ballast: make([]byte, 1<<10)}
	h.opened = append(h.opened, weak.Make(s))
	return s, nil
}

func (h *resettingHost) Network() network.Network { return resettingNetwork{of: h} }

type resettingNetwork struct {
	network.Network // nil
	of              *resettingHost
}

func (n resettingNetwork) ConnsToPeer(peer.ID) []network.Conn {
	n.of.asked++
	return nil
}

type resetStream struct {
	network.Stream // nil
	ballast        []byte
}

func (*resetStream) Reset() error                     { return nil }
func (*resetStream) SetWriteDeadline(time.Time) error { return nil }
func (*resetStream) Write([]byte) (int, error)        { return 0, network.ErrReset }

// R188: of a stream of parts that its peer resets nothing is kept, however long the peer stays.
func TestStreamsThatWereResetAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h := new(resettingHost)
		c := &compactor{host: h, cfg: Config{Limits: DefaultLimits()}, log: slog.New(slog.DiscardHandler)}
		l := &compactLink{peer: "resets", wake: make(chan struct{}, 1)}
		over := make(chan struct{})
		go func() {
			defer close(over)
			c.write(ctx, l)
		}()
		const streams = 50
		for range streams {
			l.put(&compact.Want{Block: wire.BlockID{1}})
			time.Sleep(linkPause + time.Millisecond)
		}
		synctest.Wait()
		require.Len(t, h.opened, streams)
		runtime.GC()
		runtime.GC()
		kept := 0
		for _, s := range h.opened {
			if s.Value() != nil {
				kept++
			}
		}
		require.LessOrEqual(t, kept, 2, "what the writer still has on its stack")
		cancel()
		<-over
	})
}

// R188: the end of the link wakes who writes to a peer that does not read.
func TestStreamsOfPartsEndWithTheirLink(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	c := &compactor{host: openingHost{stream: endingStream{ended: ended}}}
	s, err := c.openStream(ctx, "p")
	require.NoError(t, err)
	require.NotNil(t, s)
	cancel()
	<-ended
}

type openingHost struct {
	host.Host // nil
	stream    network.Stream
}

func (h openingHost) NewStream(context.Context, peer.ID, ...protocol.ID) (network.Stream, error) {
	return h.stream, nil
}

type endingStream struct {
	network.Stream // nil
	ended          chan struct{}
}

func (s endingStream) Reset() error {
	close(s.ended)
	return errors.New("over")
}

// What has waited for too long is dropped, and whoever writes goes on with what comes next.
func TestWriterOutlivesWhatIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &compactor{lane: newLane(func(peer.ID) bool { return false })}
		l := &compactLink{wake: make(chan struct{}, 1)}
		l.put(&compact.Fill{Block: wire.BlockID{1}})
		time.Sleep(maxUnsentFor + time.Second)
		next := make(chan compact.Frame, 1)
		go func() { next <- c.next(t.Context(), l) }()
		synctest.Wait()
		require.Empty(t, next)
		l.put(&compact.Fill{Block: wire.BlockID{2}})
		require.Equal(t, wire.BlockID{2}, (<-next).Of())
	})
}
