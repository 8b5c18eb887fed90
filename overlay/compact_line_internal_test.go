package overlay

import (
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
)

// R139: what follows a header is bounded by what is free of the congestion window.
func TestFillWindow(t *testing.T) {
	at := time.Unix(1_000, 0)
	var f flight
	require.Equal(t, 30_000, f.window(40_000, 100*time.Millisecond, 10_000), "nothing is under way")
	f.sample(at, 1_000_000)
	require.Equal(t, 30_000, f.window(40_000, 100*time.Millisecond, 10_000), "one sample says nothing")
	f.sample(at.Add(flightEvery), 1_000_000+50_000)
	require.Equal(t, 40_000-10_000-20_000, f.window(40_000, 100*time.Millisecond, 10_000), "200,000 a second")
	require.Zero(t, f.window(40_000, 200*time.Millisecond, 10_000), "the window is full")
	require.Zero(t, f.window(40_000, 0, 50_000), "the header takes all of it")
	require.Equal(t, maxFillWindow, f.window(1<<30, 100*time.Millisecond, 10_000))
	f.sample(at.Add(2*flightEvery), 1_000_000+50_000)
	require.Equal(t, 30_000, f.window(40_000, 100*time.Millisecond, 10_000), "quiet again")
	f.sample(at.Add(3*flightEvery), 500)
	require.Equal(t, 30_000, f.window(40_000, 100*time.Millisecond, 10_000), "another connection")
}

// R139: the line tells its round trip and its window over QUIC; over TCP something is assumed.
func TestLine(t *testing.T) {
	for transport, addr := range map[string]string{"quic": "/ip4/127.0.0.1/udp/0/quic-v1", "tcp": "/ip4/127.0.0.1/tcp/0"} {
		t.Run(transport, func(t *testing.T) {
			ours, theirs := lineHost(t, addr), lineHost(t, addr)
			read := make(chan int64, 1)
			theirs.SetStreamHandler("/read", func(s network.Stream) {
				n, _ := io.Copy(io.Discard, s)
				_ = s.Close()
				read <- n
			})
			require.NoError(t, ours.Connect(t.Context(), peer.AddrInfo{ID: theirs.ID(), Addrs: theirs.Addrs()}))
			l := &compactLink{peer: theirs.ID()}
			c := &compactor{host: ours, links: map[peer.ID]*compactLink{theirs.ID(): l}}
			them := member{id: theirs.ID(), rtt: 7 * time.Millisecond}
			began := time.Now()
			c.sampleFlights(began)
			rtt, window := c.line(them, l.flight, 1_000)
			if transport == "tcp" {
				require.Equal(t, them.rtt, rtt)
				require.Equal(t, fillWindow, window)
				return
			}
			require.Positive(t, rtt)
			require.Positive(t, window)
			_, none := c.line(them, l.flight, 1<<30)
			require.Zero(t, none)

			s, err := ours.NewStream(t.Context(), theirs.ID(), "/read")
			require.NoError(t, err)
			_, err = s.Write(make([]byte, 4<<20))
			require.NoError(t, err)
			require.NoError(t, s.CloseWrite())
			require.EqualValues(t, 4<<20, <-read)
			c.sampleFlights(began.Add(time.Millisecond)) // as if that had taken no longer
			require.Greater(t, l.flight.rate, 4e9)
			_, full := c.line(them, flight{rate: 1e15}, 1_000)
			require.Zero(t, full, "what is under way counts")
		})
	}
}

func lineHost(t *testing.T, addr string) host.Host {
	h, err := libp2p.New(libp2p.ListenAddrStrings(addr), libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.ResourceManager(&network.NullResourceManager{}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	return h
}
