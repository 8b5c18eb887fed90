package overlay_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

func connected(a, b host.Host) bool { return a.Network().Connectedness(b.ID()) == network.Connected }

func TestHelloMeasuresAndTells(t *testing.T) {
	g, c := testGenesis("hello"), newClock()
	a, b := start(t, g, c), start(t, g, c)
	a.grow(3, "", 0)
	b.join(a)
	for _, pair := range [][2]*node{{a, b}, {b, a}} {
		eventually(t, func() bool { return pair[0].peer(pair[1].host.ID()).RTT > 0 }, "measured")
		info := pair[0].peer(pair[1].host.ID())
		require.False(t, info.Guest)
		require.NotNil(t, info.Hello)
		require.Equal(t, g.ID(), info.Hello.Network)
		require.Equal(t, "grapevine", info.Agent)
		require.Less(t, info.RTT, time.Second)
		require.NotEmpty(t, info.Addrs)
		require.False(t, info.Since.IsZero())
	}
	require.EqualValues(t, 3, b.peer(a.host.ID()).Hello.Height)
	require.Equal(t, network.DirOutbound, b.peer(a.host.ID()).Direction)
	require.Equal(t, network.DirInbound, a.peer(b.host.ID()).Direction)
}

// R160: how far away a peer is that dialled us is not for it to say: who answers no ping is at no
// known distance, however early it ends its side of hello, and an echo that was not asked for
// counts for nothing.
func TestADiallerDoesNotSayHowNearItIs(t *testing.T) {
	g, c := testGenesis("near"), newClock()
	n := start(t, g, c)
	hello := (&wire.Hello{Network: g.ID(), Protocol: overlay.ProtocolVersion}).AppendTo(nil)
	const line = 200 * time.Millisecond
	for name, test := range map[string]struct {
		echo func(s network.Stream)
		far  time.Duration // at least; 0: nobody knows
	}{
		"silent": {func(network.Stream) {}, 0},
		"hasty":  {func(s network.Stream) { _, _ = s.Write(make([]byte, ping.PingSize)) }, 0},
		"honest": {func(s network.Stream) {
			b := make([]byte, ping.PingSize)
			_, _ = io.ReadFull(s, b)
			time.Sleep(line) //nolint:forbidigo // the way
			_, _ = s.Write(b)
		}, line},
	} {
		t.Run(name, func(t *testing.T) {
			h, asked := newHost(t), make(chan struct{})
			speakHello(h, &wire.Hello{Network: g.ID(), Protocol: overlay.ProtocolVersion})
			h.SetStreamHandler(ping.ID, func(s network.Stream) {
				defer close(asked)
				test.echo(s)
				_ = s.CloseWrite()
			})
			require.NoError(t, h.Connect(t.Context(), n.addr()))
			s, err := h.NewStream(t.Context(), n.host.ID(), overlay.HelloProtocol)
			require.NoError(t, err)
			_, err = s.Write(frame(hello))
			require.NoError(t, err)
			require.NoError(t, s.CloseWrite()) // before there is an answer to have read
			eventually(t, func() bool { return n.knows(h.ID()) }, "greeted")
			eventually(t, func() bool {
				select {
				case <-asked:
					return true
				default:
					return false
				}
			}, "asked for an echo")
			if test.far > 0 {
				eventually(t, func() bool { return n.peer(h.ID()).RTT >= test.far }, "measured")
				return
			}
			never(t, func() bool { return n.peer(h.ID()).RTT != 0 }, 200*time.Millisecond, pulse)
		})
	}
}

// R32: nodes of different genesis refuse each other, and both say so.
func TestOtherNetworkIsRefusedOnBothSides(t *testing.T) {
	c := newClock()
	a, b := start(t, testGenesis("apple"), c), start(t, testGenesis("banana"), c)
	require.NoError(t, a.Connect(t.Context(), b.addr()))
	for _, n := range []*node{a, b} {
		eventually(t, func() bool { return n.log.has("peer refused") }, "log line")
		require.True(t, n.log.has("apple"))
		require.True(t, n.log.has("banana"))
		require.True(t, n.log.has("remedy"))
		require.Empty(t, n.Peers())
		require.Zero(t, n.seen.blamed(), "another network is no offence")
	}
	eventually(t, func() bool { return !connected(a.host, b.host) }, "disconnected")
	require.ErrorContains(t, a.Connect(t.Context(), b.addr()), "refused")
}

// R160: who says hello again and again, and answers no ping, is asked for one echo.
func TestManyHellosCostOnePing(t *testing.T) {
	g, c := testGenesis("pings"), newClock()
	n, h := start(t, g, c), newHost(t)
	hello := &wire.Hello{Network: g.ID(), Protocol: overlay.ProtocolVersion}
	speakHello(h, hello)
	var pings atomic.Int32
	h.SetStreamHandler(ping.ID, func(s network.Stream) {
		pings.Add(1)
		_, _ = io.Copy(io.Discard, s)
	})
	answered := 0
	for range 40 { // within its budget
		if _, err := exchangeHello(t, h, n, hello.AppendTo(nil)); err == nil { // the last one's place may not be free yet
			answered++
		}
	}
	require.Greater(t, answered, 10)
	eventually(t, func() bool { return pings.Load() > 0 }, "asked")
	never(t, func() bool { return pings.Load() > 1 }, time.Second, pulse)
	require.Zero(t, n.seen.blamed())
}

// A bootstrap peer of another network is not dialled again and again.
func TestRefusedBootstrapPeerIsLeftAlone(t *testing.T) {
	c := newClock()
	a := start(t, testGenesis("apple"), c)
	b := start(t, testGenesis("banana"), c, bootstrap(a))
	eventually(t, func() bool { return b.log.has("peer refused") && !connected(a.host, b.host) }, "refused")
	never(t, func() bool { return connected(a.host, b.host) }, 3*time.Second, pulse)
}

// exchangeHello is a peer's hand-made hello; it returns the answer.
func exchangeHello(t *testing.T, h host.Host, to *node, frame []byte) ([]byte, error) {
	t.Helper()
	require.NoError(t, h.Connect(t.Context(), to.addr()))
	return request(t, h, to.host.ID(), overlay.HelloProtocol, frame)
}

// request sends one frame and reads one.
func request(t *testing.T, h host.Host, to peer.ID, id protocol.ID, frame []byte) ([]byte, error) {
	t.Helper()
	s, err := h.NewStream(t.Context(), to, id)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	_ = s.SetDeadline(time.Now().Add(patience))
	if _, err := s.Write(append(binary.AppendUvarint(nil, uint64(len(frame))), frame...)); err != nil {
		return nil, err
	}
	return readRaw(bufio.NewReader(s))
}

func readRaw(r *bufio.Reader) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, n)
	for range n {
		b, err := r.ReadByte()
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// speakHello makes a plain host answer hello, so that it is not taken for a guest.
func speakHello(h host.Host, hello *wire.Hello) {
	h.SetStreamHandler(overlay.HelloProtocol, func(s network.Stream) {
		defer s.Close()
		_, _ = readRaw(bufio.NewReader(s))
		b := hello.AppendTo(nil)
		_, _ = s.Write(append(binary.AppendUvarint(nil, uint64(len(b))), b...))
	})
}

func TestProtocolVersions(t *testing.T) {
	g, c := testGenesis("versions"), newClock()
	n := start(t, g, c)
	for name, test := range map[string]struct {
		version uint32
		welcome bool
		log     string
	}{
		"older": {0, false, "speaks hello of version 0"},
		"same":  {overlay.ProtocolVersion, true, ""},
		"newer": {99, true, "newer protocol version"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			hello := &wire.Hello{Network: g.ID(), Protocol: test.version}
			speakHello(h, hello)
			answer, err := exchangeHello(t, h, n, hello.AppendTo(nil))
			require.NoError(t, err, "it is answered whatever it says")
			_, err = wire.DecodeHello(answer)
			require.NoError(t, err)
			if test.welcome {
				eventually(t, func() bool { return n.knows(h.ID()) }, "welcome")
			} else {
				eventually(t, func() bool { return !connected(n.host, h) }, "sent away")
			}
			require.True(t, n.log.has(test.log))
		})
	}
	require.Zero(t, n.seen.blamed())
}

// Who speaks hello and says none is sent away; before that nothing of it reaches gossip.
func TestWithheldHello(t *testing.T) {
	g, c := testGenesis("withheld"), newClock()
	n := start(t, g, c, func(c *overlay.Config) { c.Limits.HelloTimeout = time.Second })
	h := newHost(t)
	block := make(chan struct{})
	defer close(block)
	h.SetStreamHandler(overlay.HelloProtocol, func(network.Stream) { <-block })
	require.NoError(t, h.Connect(t.Context(), n.addr()))
	eventually(t, func() bool { return !connected(n.host, h) }, "sent away")
	require.True(t, n.log.has("said no hello"))
	require.Zero(t, n.seen.blamed(), "silence proves nothing")
}

// R33: guests have a bounded share of the slots.
func TestGuestsAreBounded(t *testing.T) {
	g, c := testGenesis("guests"), newClock()
	n := start(t, g, c, func(c *overlay.Config) { c.Limits.MaxGuests = 2 })
	var guests []host.Host
	for range 4 {
		h := newHost(t)
		h.SetStreamHandler("/meshsub/1.1.0", func(network.Stream) {})
		guests = append(guests, h)
		require.NoError(t, h.Connect(t.Context(), n.addr()))
	}
	stay := func() (count int) {
		for _, h := range guests {
			if connected(n.host, h) {
				count++
			}
		}
		return count
	}
	eventually(t, func() bool { return stay() == 2 && len(n.Peers()) == 2 }, "two guests stay")
	for _, p := range n.Peers() {
		require.True(t, p.Guest)
		require.Nil(t, p.Hello)
	}
	// A peer with hello is welcome all the same.
	m := start(t, g, c)
	m.join(n)
	require.Equal(t, 2, stay())
}

func TestMalformedHello(t *testing.T) {
	g, c := testGenesis("malformed hello"), newClock()
	n := start(t, g, c)
	for name, frame := range map[string][]byte{
		"garbage":       {0xff, 0xff, 0xff},
		"empty":         {},
		"short network": append([]byte{0x0a, 3}, 1, 2, 3),
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			_, err := exchangeHello(t, h, n, frame)
			require.Error(t, err)
			eventually(t, func() bool { return len(n.seen.offencesOf(h.ID())) > 0 }, "offence")
			require.Equal(t, peerscore.BadFrame, n.seen.offencesOf(h.ID())[0])
		})
	}
	m := start(t, g, c)
	m.join(n) // others are not affected
}

func TestPeersLeave(t *testing.T) {
	g, c := testGenesis("leave"), newClock()
	a, b := start(t, g, c), start(t, g, c)
	b.join(a)
	b.Disconnect(a.host.ID())
	eventually(t, func() bool { return len(a.Peers()) == 0 && len(b.Peers()) == 0 }, "gone")
	b.join(a) // and may come back
}

// Connections that were made before Run are noticed.
func TestEarlierConnections(t *testing.T) {
	g, c := testGenesis("earlier"), newClock()
	ha, hb := newHost(t), newHost(t)
	require.NoError(t, ha.Connect(t.Context(), peer.AddrInfo{ID: hb.ID(), Addrs: hb.Addrs()}))
	a := startOn(t, ha, newChain(t, g, c))
	b := startOn(t, hb, newChain(t, g, c))
	eventually(t, func() bool { return a.knows(hb.ID()) && b.knows(ha.ID()) }, "greeted")
	eventually(t, func() bool { return !a.peer(hb.ID()).Guest && !b.peer(ha.ID()).Guest }, "not as guests")
	meshed(t, a, b)
}
