package overlay_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	meshTx    = protocol.ID("/meshsub/1.1.0")
	meshBlock = protocol.ID("/grapevine/blocks/meshsub/1.2.0")
)

// greetedHost is a plain host that n welcomes as a peer with hello.
func greetedHost(t *testing.T, n *node) host.Host {
	t.Helper()
	h := newHost(t)
	greet(t, h, n)
	return h
}

// greet makes n welcome a plain host.
func greet(t *testing.T, h host.Host, n *node) {
	t.Helper()
	hello := &wire.Hello{Network: n.g.ID(), Protocol: overlay.ProtocolVersion}
	speakHello(h, hello)
	_, err := exchangeHello(t, h, n, hello.AppendTo(nil))
	require.NoError(t, err)
	eventually(t, func() bool { return n.knows(h.ID()) }, "greeted")
}

// poke writes raw bytes on a new stream and waits until the other side ends it.
func poke(t *testing.T, h host.Host, n *node, id protocol.ID, raw []byte) {
	t.Helper()
	s, err := h.NewStream(t.Context(), n.host.ID(), id)
	require.NoError(t, err)
	defer func() { _ = s.Reset() }()
	_ = s.SetDeadline(time.Now().Add(patience))
	_, _ = s.Write(raw) // the other side may reset while we write
	_, err = io.Copy(io.Discard, s)
	if err != nil {
		require.NotErrorIs(t, err, io.ErrNoProgress)
	}
}

func frame(b []byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(b))), b...) }

// R37: a frame over a limit costs its sender and ends the stream.
func TestT5MalformedFrames(t *testing.T) {
	g, c := testGenesis("frames"), newClock()
	n, witness := start(t, g, c), start(t, g, c)
	n.grow(2, "", 0)
	witness.join(n)
	meshed(t, n, witness)

	compactRequest := &wire.CompactRequest{Block: n.chain.Head().ID, Indexes: []uint32{77}}
	type malformed struct {
		raw     []byte
		offence peerscore.Offence
	}
	protocols := map[protocol.ID]map[string]malformed{
		overlay.HelloProtocol: {"length 0": {frame(nil), peerscore.BadFrame}}, // of a message with required fields
		overlay.CompactProtocol(g.ID()): {
			"length 0":           {frame(nil), peerscore.BadFrame},
			"index out of range": {frame(compactRequest.AppendTo(nil)), peerscore.BadFrame},
		},
		overlay.SyncProtocol(g.ID()):   {},
		overlay.MemberProtocol(g.ID()): {},
		meshTx: {
			"empty messages": {frame(bytes.Repeat([]byte{0x12, 0x00}, 262_144)), peerscore.BadFrame},
			"empty grafts":   {frame(append([]byte{0x1a, 0xc0, 0x84, 0x3d}, bytes.Repeat([]byte{0x1a, 0x00}, 500_000)...)), peerscore.BudgetBreach},
			"wrong control":  {frame([]byte{0x1a, 0x02, 0x0a, 0x7f}), peerscore.BadFrame},
		},
		meshBlock: {
			"empty subscriptions": {frame(bytes.Repeat([]byte{0x0a, 0x00}, 100_000)), peerscore.BadFrame},
			"over its own limit":  {binary.AppendUvarint(nil, 600<<10), peerscore.BadFrame},
		},
	}
	for id, cases := range protocols {
		for name, raw := range map[string][]byte{
			"length 2^63":            binary.AppendUvarint(nil, 1<<63),
			"length over limit":      binary.AppendUvarint(nil, 64<<20),
			"length not minimal":     {0x81, 0x00, 1},
			"0, not minimal":         {0x80, 0x00},
			"length of eleven bytes": append(bytes.Repeat([]byte{0x80}, 10), 1),
			"length without end":     bytes.Repeat([]byte{0xff}, 64<<10),
			"garbage":                frame([]byte{0xff, 0xff, 0xff, 0xff}),
		} {
			cases[name] = malformed{raw, peerscore.BadFrame}
		}
		for name, test := range cases {
			t.Run(fmt.Sprint(id, " ", name), func(t *testing.T) {
				h := greetedHost(t, n)
				poke(t, h, n, id, test.raw)
				eventually(t, func() bool { return len(n.seen.offencesOf(h.ID())) > 0 }, "offence")
				require.Equal(t, test.offence, n.seen.offencesOf(h.ID())[0])
			})
		}
	}

	// A stream that merely ends too early proves nothing.
	for id := range protocols {
		t.Run(fmt.Sprint(id, " cut"), func(t *testing.T) {
			h := greetedHost(t, n)
			s, err := h.NewStream(t.Context(), n.host.ID(), id)
			require.NoError(t, err)
			_, err = s.Write([]byte{100, 1, 2, 3})
			require.NoError(t, err)
			require.NoError(t, s.CloseWrite())
			_, _ = io.Copy(io.Discard, s)
			require.Empty(t, n.seen.offencesOf(h.ID()))
		})
	}

	// Nobody else noticed.
	tx := transfer(g, "wallet 0", 0)
	n.submit(tx)
	eventually(t, func() bool { return witness.chain.has(tx.ID()) }, "gossip goes on")
	require.Empty(t, n.seen.offencesOf(witness.host.ID()))
	require.Zero(t, witness.seen.blamed())
	require.False(t, n.log.has("panic"))
}

// T5, R86: a frame of length 0 says nothing, which gossip and sync allow: it is no offence, and what
// comes behind it is read. Who sends them without end is cut.
func TestT5FramesOfNothing(t *testing.T) {
	g, c := testGenesis("nothing"), newClock()
	n := start(t, g, c)
	for _, id := range []protocol.ID{meshTx, meshBlock} {
		t.Run(string(id), func(t *testing.T) {
			p := newPuppet(t, n)
			s, err := p.NewStream(t.Context(), n.host.ID(), id)
			require.NoError(t, err)
			_, err = s.Write(bytes.Repeat(frame(nil), 100))
			require.NoError(t, err)
			_, err = s.Write(frame([]byte{0xff}))
			require.NoError(t, err)
			eventually(t, func() bool { return len(n.seen.offencesOf(p.ID())) > 0 }, "what comes behind is read")
			require.Equal(t, []peerscore.Offence{peerscore.BadFrame}, n.seen.offencesOf(p.ID()), "and is the only offence")
			flooder := newPuppet(t, n)
			s, err = flooder.NewStream(t.Context(), n.host.ID(), id)
			require.NoError(t, err)
			cutSoon(t, n, flooder, func() bool {
				_, err := s.Write(bytes.Repeat(frame(nil), 1_000))
				return err == nil
			})
		})
	}
	h := greetedHost(t, n)
	poke(t, h, n, overlay.SyncProtocol(g.ID()), frame(nil))
	require.Empty(t, n.seen.offencesOf(h.ID()))
	alive(t, n, 0)
}

// An element bomb is refused before pubsub makes objects of it.
//
// R37: elements are counted before pubsub sees them.
func TestElementBombCostsLittle(t *testing.T) {
	g, c := testGenesis("bomb"), newClock()
	n := start(t, g, c)
	h := greetedHost(t, n)
	bomb := frame(bytes.Repeat([]byte{0x12, 0x00}, 500_000))
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	poke(t, h, n, meshTx, bomb)
	eventually(t, func() bool { return len(n.seen.offencesOf(h.ID())) > 0 }, "offence")
	runtime.ReadMemStats(&after)
	// The frame itself is held by sender and receiver, with what growing it wasted.
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8*len(bomb)))
}

// T6, R37, R39: a frame of the largest length that comes at a byte a second is given up after the time
// of a frame, at most thirty seconds, and takes no more memory than what has come of it.
func TestT6SlowFrameIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := simulated(t)
		g, c := testGenesis("slow"), newClock()
		n := startOn(t, q.host(t, 0), newChain(t, g, c))
		hosts := make([]host.Host, 8) // of each, an instance reads one stream
		for i := range hosts {
			hosts[i] = q.host(t, i+1)
			greet(t, hosts[i], n)
		}
		l := overlay.DefaultLimits()
		require.LessOrEqual(t, l.FrameTime, 30*time.Second)
		before, began := liveHeap(), time.Now()
		var streams []network.Stream
		for _, h := range hosts {
			for id, largest := range map[protocol.ID]int{meshTx: l.TxFrame, meshBlock: l.BlockFrame} {
				s, err := h.NewStream(t.Context(), n.host.ID(), id)
				require.NoError(t, err)
				_, err = s.Write(binary.AppendUvarint(nil, uint64(largest)))
				require.NoError(t, err)
				streams = append(streams, s)
			}
		}
		drip := func() (open int) {
			time.Sleep(time.Second)
			for _, s := range streams {
				if _, err := s.Write([]byte{0x12}); err == nil {
					open++
				}
			}
			return open
		}
		for time.Since(began) < l.FrameTime-2*time.Second {
			require.Equal(t, len(streams), drip(), "a slow line has its time")
		}
		require.Less(t, liveHeap()-before, int64(1<<20), "of 12 MiB")
		for drip() > 0 {
			require.Less(t, time.Since(began), l.FrameTime+2*time.Second)
		}
		for _, s := range streams {
			_, err := s.Read(make([]byte, 1))
			require.ErrorIs(t, err, network.ErrReset)
		}
		require.Zero(t, n.seen.blamed(), "a slow line is no offence")
	})
}

// T4, R85: a stream on which nothing comes is reset after ten seconds, also that of a stranger, who
// says no hello and speaks no gossip, so that it is not known meanwhile what becomes of it.
func TestT4SilentStreamOfAStrangerIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := simulated(t)
		g, c := testGenesis("silent stranger"), newClock()
		n, h := startOn(t, q.host(t, 0), newChain(t, g, c)), q.host(t, 1)
		require.NoError(t, h.Connect(t.Context(), n.addr()))
		time.Sleep(5 * time.Second) // half of what a hello may take
		s := gossipStream(t, h, n)
		began := time.Now()
		_, err := s.Write(nil) // negotiates the protocol
		require.NoError(t, err)
		_, err = s.Read(make([]byte, 1))
		require.ErrorIs(t, err, network.ErrReset)
		require.InDelta(t, 10*time.Second, time.Since(began), float64(time.Second))
		require.True(t, connected(n.host, h))
		require.Empty(t, n.seen.offencesOf(h.ID()))
	})
}

// R85: who opens its stream and says what it is subscribed to before its hello is settled is heard
// afterwards, also where the hello takes longer than a stream may be silent.
func TestSlowHelloCostsNoStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := simulated(t)
		g, c := testGenesis("slow hello"), newClock()
		n := startOn(t, q.host(t, 0), newChain(t, g, c), func(c *overlay.Config) { c.Limits.FirstFrame = time.Second })
		h := q.host(t, 1)
		h.SetStreamHandler(meshTx, func(s network.Stream) { _, _ = io.Copy(io.Discard, s) })
		speakHello(h, &wire.Hello{Network: g.ID(), Protocol: overlay.ProtocolVersion})
		require.NoError(t, h.Connect(t.Context(), n.addr()))
		topic := overlay.TxTopic(g.ID())
		raw, err := proto.Marshal(&pb.RPC{Subscriptions: []*pb.RPC_SubOpts{{Topicid: &topic, Subscribe: proto.Bool(true)}}})
		require.NoError(t, err)
		_, err = gossipStream(t, h, n).Write(frame(raw))
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		require.False(t, n.knows(h.ID()))
		greet(t, h, n)
		eventually(t, func() bool { return n.peer(h.ID()).InTxMesh }, "it is heard")
	})
}

func TestSilentStreamIsCut(t *testing.T) {
	g, c := testGenesis("silent"), newClock()
	n := start(t, g, c, func(c *overlay.Config) { c.Limits.FirstFrame = 300 * time.Millisecond })
	h := greetedHost(t, n)
	s, err := h.NewStream(t.Context(), n.host.ID(), meshTx)
	require.NoError(t, err)
	_, err = s.Write(nil) // negotiates the protocol
	require.NoError(t, err)
	_ = s.SetReadDeadline(time.Now().Add(patience))
	_, err = s.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, io.EOF)
	require.Empty(t, n.seen.offencesOf(h.ID()))
}

// R39, R85: every connection has a budget of streams.
func TestT9StreamFloodIsABreach(t *testing.T) {
	g, c := testGenesis("streams"), newClock()
	n := start(t, g, c)
	h := greetedHost(t, n)
	for range overlay.DefaultLimits().StreamsPerConn + 10 {
		s, err := h.NewStream(t.Context(), n.host.ID(), meshTx)
		require.NoError(t, err)
		_, _ = s.Write(frame(nil))
	}
	eventually(t, func() bool { return len(n.seen.offencesOf(h.ID())) > 0 }, "breach")
	require.Equal(t, peerscore.BudgetBreach, n.seen.offencesOf(h.ID())[0])
}

// R85: a peer that comes and goes is within the budgets of its connections: a node that
// crashes again and again is no attacker.
func TestRestartsAreNoStreamFlood(t *testing.T) {
	g, c := testGenesis("crash loop"), newClock()
	n := start(t, g, c)
	h := newHost(t)
	hello := &wire.Hello{Network: g.ID(), Protocol: overlay.ProtocolVersion}
	speakHello(h, hello)
	life := func(streams int) {
		require.NoError(t, h.Connect(t.Context(), n.addr()))
		_, err := exchangeHello(t, h, n, hello.AppendTo(nil))
		require.NoError(t, err)
		for range streams {
			s, err := h.NewStream(t.Context(), n.host.ID(), meshTx)
			require.NoError(t, err)
			_, _ = s.Write(frame(nil))
		}
		require.NoError(t, h.Network().ClosePeer(n.host.ID()))
		eventually(t, func() bool { return !connected(n.host, h) }, "gone")
	}
	per := overlay.DefaultLimits().StreamsPerConn
	for range 20 {
		life(per / 2)
	}
	require.Empty(t, n.seen.offencesOf(h.ID()))
	require.False(t, n.Banned(h.ID()))
	eventually(t, func() bool { return overlay.StreamBudgets(n.Overlay) == 0 }, "nothing is kept of closed connections")
}

// R39: every peer has a budget of requests.
func TestRequestFloodIsABreach(t *testing.T) {
	g, c := testGenesis("requests"), newClock()
	n := start(t, g, c)
	h := greetedHost(t, n)
	q := &wire.CompactRequest{Block: wire.BlockID{1}}
	for range overlay.DefaultLimits().RequestsBurst + 20 {
		_, _ = request(t, h, n.host.ID(), overlay.CompactProtocol(g.ID()), q.AppendTo(nil))
	}
	eventually(t, func() bool { return len(n.seen.offencesOf(h.ID())) > 0 }, "breach")
	require.Equal(t, peerscore.BudgetBreach, n.seen.offencesOf(h.ID())[0])
}

// A banned peer is disconnected, and what it sends afterwards is not read.
func TestBannedPeerIsCut(t *testing.T) {
	g, c := testGenesis("ban"), newClock()
	n := start(t, g, c)
	h := greetedHost(t, n)
	for range 20 {
		s, err := h.NewStream(t.Context(), n.host.ID(), meshTx)
		if err != nil {
			break
		}
		_, _ = s.Write(binary.AppendUvarint(nil, 1<<63))
		_ = s.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = s.Read(make([]byte, 1))
		if n.Banned(h.ID()) {
			break
		}
	}
	eventually(t, func() bool { return n.Banned(h.ID()) && !connected(n.host, h) }, "banned and cut")
	require.ErrorContains(t, n.Connect(t.Context(), peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}), "banned")
	_ = h.Connect(t.Context(), n.addr())
	eventually(t, func() bool { return !connected(n.host, h) }, "cut again when it comes back")
}

// Guests have the topics; requests are for those who said hello.
func TestGuestsAreServedNoRequests(t *testing.T) {
	g, c := testGenesis("no requests"), newClock()
	n := start(t, g, c)
	h := newHost(t)
	h.SetStreamHandler(meshTx, func(network.Stream) {})
	require.NoError(t, h.Connect(t.Context(), n.addr()))
	eventually(t, func() bool { return n.knows(h.ID()) }, "guest")
	q := &wire.SyncRequest{FromHeight: 1, Count: 1}
	_, err := request(t, h, n.host.ID(), overlay.SyncProtocol(g.ID()), q.AppendTo(nil))
	require.Error(t, err)
	require.Empty(t, n.seen.offencesOf(h.ID()))
}

// R38: subscriptions to topics other than ours are not kept, also while who sent them is connected.
// The burst of a client of many other networks is no offence, and a flood of them is cut.
func TestForeignSubscriptionsAreNotKept(t *testing.T) {
	g, c := testGenesis("subscriptions"), newClock()
	const name = 1000
	per, serial := overlay.DefaultLimits().Subscriptions, 0
	strange := func(p *puppet) bool {
		topics := make([]string, per)
		for j := range topics {
			serial++
			topics[j] = fmt.Sprintf("%0*d", name, serial)
		}
		return p.subscribe(true, topics...)
	}
	unbound := start(t, g, c, withoutSubscriptionBudget(per))
	p := newPuppet(t, unbound)
	before := liveHeap()
	for serial < 10_000 {
		require.True(t, strange(p))
	}
	p.read(unbound)
	eventually(t, func() bool { return liveHeap()-before < 1<<20 }, "nothing of %d bytes of topics is kept", serial*name)
	require.True(t, connected(unbound.host, p))

	n := start(t, g, c)
	p = newPuppet(t, n)
	for range overlay.DefaultLimits().SubscriptionsBurst / per {
		require.True(t, strange(p))
	}
	// What comes behind it on the same stream shows that it was read.
	tx := transfer(g, "wallet 0", 0)
	require.True(t, p.publish(tx.Bytes()))
	eventually(t, func() bool { return n.chain.has(tx.ID()) }, "all read")
	require.Empty(t, n.seen.offencesOf(p.ID()))
	cutSoon(t, n, p, func() bool { return strange(p) })
}

// liveHeap is what is in use after a collection.
func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
