package overlay_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/overlay/member"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// member is what n knows of p; zero if that is nothing.
func (n *node) member(p peer.ID) overlay.MemberInfo {
	for _, m := range n.Members() {
		if m.ID == p {
			return m
		}
	}
	return overlay.MemberInfo{}
}

// takesFor waits until every one of nodes takes p for that.
func takesFor(t *testing.T, p peer.ID, s member.State, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		eventually(t, func() bool { return n.member(p).State == s }, "%s takes %s for %s", n.host.ID(), p, s)
	}
}

// Two who never meet learn of each other through a third, addresses included.
func TestMembersLearnOfAThird(t *testing.T) {
	g, c := testGenesis("thirds"), newClock()
	a, b, third := start(t, g, c), start(t, g, c), start(t, g, c)
	a.join(third)
	b.join(third)
	takesFor(t, a.host.ID(), member.Alive, b, third)
	takesFor(t, b.host.ID(), member.Alive, a, third)

	far := a.member(b.host.ID())
	require.ElementsMatch(t, b.host.Addrs(), far.Addrs)
	require.False(t, far.Linked)
	require.False(t, far.Since.IsZero())
	require.True(t, a.member(third.host.ID()).Linked)
	require.Equal(t, 3, a.MemberStats().Size)
	require.Equal(t, 1, a.MemberStats().Links)
	require.Equal(t, 2, a.MemberStats().Alive)
	eventually(t, func() bool { return a.MemberStats().Probes > 0 && a.MemberStats().Sent > 0 }, "probes")
	require.Zero(t, a.seen.blamed()+b.seen.blamed()+third.seen.blamed())
}

// R77: who does not speak the protocol, or has it switched off, is no member and nobody's
// fault.
func TestMembershipSwitchedOff(t *testing.T) {
	g, c := testGenesis("switched off"), newClock()
	n := start(t, g, c)
	off := start(t, g, c, func(c *overlay.Config) { c.Members = false })
	n.join(off)
	time.Sleep(3 * time.Second) //nolint:forbidigo // that nothing happens can only be waited for
	require.Empty(t, n.Members())
	require.Empty(t, off.Members())
	require.Zero(t, off.MemberStats())
	require.NotContains(t, off.host.Mux().Protocols(), overlay.MemberProtocol(g.ID()))
	require.Zero(t, n.seen.blamed()+off.seen.blamed())
}

// Whatever membership has under way when the node stops, nothing stays behind: links, one
// whose peer says nothing, and farewells to it.
func TestMembersLeaveNothingBehind(t *testing.T) {
	g, c := testGenesis("members leak"), newClock()
	before := goleak.IgnoreCurrent()
	ha, hb, silent := newHost(t), newHost(t), newHost(t)
	silent.SetStreamHandler(overlay.MemberProtocol(g.ID()), func(network.Stream) {}) // never read
	a, b := startOn(t, ha, newChain(t, g, c)), startOn(t, hb, newChain(t, g, c))
	a.join(b)
	greet(t, silent, a)
	s, err := silent.NewStream(t.Context(), ha.ID(), overlay.MemberProtocol(g.ID()))
	require.NoError(t, err)
	_, err = s.Write([]byte{0}) // half a length
	require.NoError(t, err)
	eventually(t, func() bool { return a.MemberStats().Links >= 1 && b.MemberStats().Links >= 1 }, "linked")
	a.stop()
	b.stop()
	eventually(t, func() bool { return len(ours()) == 0 }, "every goroutine ends")
	for _, h := range []host.Host{ha, hb, silent} {
		require.NoError(t, h.Close())
	}
	goleak.VerifyNone(t, before)
}

// R76: who stops says farewell, and is dead to all at once; a new life with the same key has
// a later record.
func TestRestartedMember(t *testing.T) {
	g, c := testGenesis("restarted"), newClock()
	a, b := start(t, g, c), start(t, g, c)
	key, _, err := crypto.GenerateEd25519Key(nil)
	require.NoError(t, err)
	live := func() *node {
		h, err := libp2p.New(libp2p.Identity(key), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"),
			libp2p.DisableRelay(), libp2p.DisableMetrics())
		require.NoError(t, err)
		t.Cleanup(func() { _ = h.Close() })
		return startOn(t, h, newChain(t, g, c))
	}
	x := live()
	id := x.host.ID()
	b.join(a)
	x.join(a)
	takesFor(t, id, member.Alive, a, b)
	first := b.member(id).Incarnation

	stopped := time.Now()
	x.stop()
	require.NoError(t, x.host.Close())
	takesFor(t, id, member.Dead, a, b)
	require.Less(t, time.Since(stopped), 5*time.Second, "nobody had to find out")

	// The other way to end: nothing is said.
	x = live()
	x.join(a)
	takesFor(t, id, member.Alive, a, b)
	require.Greater(t, b.member(id).Incarnation, first)
	second := b.member(id).Incarnation
	require.NoError(t, x.host.Close())
	takesFor(t, id, member.Dead, a, b)
	x.stop()

	x = live()
	x.join(a)
	takesFor(t, id, member.Alive, a, b)
	require.Greater(t, b.member(id).Incarnation, second)
	require.Zero(t, a.seen.blamed()+b.seen.blamed())
}

// freezer is a line that can stand still without being closed, as that of a stopped process.
type freezer struct {
	net.Listener
	mu    sync.Mutex
	moves *sync.Cond
	still bool
	conns []net.Conn
}

func newFreezer(t *testing.T) *freezer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := &freezer{Listener: l}
	f.moves = sync.NewCond(&f.mu)
	t.Cleanup(func() {
		f.set(false)
		_ = f.Close()
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, c := range f.conns {
			_ = c.Close()
		}
	})
	return f
}

func (f *freezer) set(still bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.still = still
	f.moves.Broadcast()
}

// carry takes connections to target.
func (f *freezer) carry(target string) {
	for {
		in, err := f.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", target)
		if err != nil {
			_ = in.Close()
			return
		}
		f.mu.Lock()
		f.conns = append(f.conns, in, out)
		f.mu.Unlock()
		for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
			go func() {
				defer way[0].Close()
				defer way[1].Close()
				buf := make([]byte, 16<<10)
				for {
					n, err := way[0].Read(buf)
					if err != nil {
						return
					}
					f.mu.Lock()
					for f.still {
						f.moves.Wait()
					}
					f.mu.Unlock()
					if _, err := way[1].Write(buf[:n]); err != nil {
						return
					}
				}
			}()
		}
	}
}

// startBehind starts a node that is reached over a line that can stand still.
func startBehind(t *testing.T, f *freezer, g *wire.Genesis, c *clock) *node {
	at, err := manet.FromNetAddr(f.Addr())
	require.NoError(t, err)
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.AddrsFactory(func([]multiaddr.Multiaddr) []multiaddr.Multiaddr { return []multiaddr.Multiaddr{at} }))
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	listening, err := manet.ToNetAddr(h.Network().ListenAddresses()[0])
	require.NoError(t, err)
	go f.carry(listening.String())
	return startOn(t, h, newChain(t, g, c))
}

// A node whose process is stopped, and whose connections stay open, is suspected and then
// dead to all others; when it goes on it is alive to all, and took nobody for dead itself.
// A liar that is linked to all cannot change either.
func TestStoppedMember(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes twenty seconds")
	}
	g, c := testGenesis("stopped"), newClock()
	line := newFreezer(t)
	nodes := []*node{start(t, g, c), start(t, g, c), start(t, g, c)}
	x := startBehind(t, line, g, c)
	for i, n := range nodes {
		n.join(nodes[:i]...)
		n.join(x)
	}
	for _, n := range nodes {
		takesFor(t, n.host.ID(), member.Alive, x)
		takesFor(t, x.host.ID(), member.Alive, nodes...)
		eventually(t, func() bool { return n.MemberStats().Links == 3 }, "links")
	}
	liar := newSlanderer(t, nodes)

	stopped := time.Now()
	line.set(true)
	takesFor(t, x.host.ID(), member.Suspect, nodes[0])
	takesFor(t, x.host.ID(), member.Dead, nodes...)
	require.Greater(t, nodes[0].peer(x.host.ID()).Silence, 2*time.Second, "it is connected, and owes an answer")
	require.Equal(t, member.Dead, nodes[0].member(x.host.ID()).State)
	t.Logf("dead to all after %v", time.Since(stopped))
	require.Less(t, time.Since(stopped), 15*time.Second)
	liar.replay(x.host.ID())
	for range 20 { // it may say so as often as it likes
		require.Equal(t, member.Dead, nodes[1].member(x.host.ID()).State)
		time.Sleep(100 * time.Millisecond) //nolint:forbidigo // that nothing happens can only be waited for
	}

	line.set(false)
	takesFor(t, x.host.ID(), member.Alive, nodes...)
	for _, n := range append(nodes, x) {
		require.Zero(t, n.MemberStats().Revived-min(n.MemberStats().Revived, 1), "nobody else was taken for dead")
		require.Zero(t, n.seen.blamed())
	}
	require.Zero(t, x.MemberStats().Dead)
	require.Zero(t, x.MemberStats().Died, "the sleeper took nobody for dead")
}

// R73: a liar that is linked to all accuses one of them again and again and passes nothing on:
// everybody looks for itself, and nobody is taken for dead. Who forges is charged.
func TestLyingMember(t *testing.T) {
	g, c := testGenesis("lies"), newClock()
	nodes := []*node{start(t, g, c), start(t, g, c), start(t, g, c)}
	for i, n := range nodes {
		n.join(nodes[:i]...)
	}
	for _, n := range nodes {
		takesFor(t, n.host.ID(), member.Alive, slices.DeleteFunc(slices.Clone(nodes), func(o *node) bool { return o == n })...)
		eventually(t, func() bool { return n.MemberStats().Links == 2 }, "links")
	}
	liar := newSlanderer(t, nodes)
	victim := nodes[0].host.ID()
	end := time.Now().Add(8 * time.Second)
	for time.Now().Before(end) {
		for _, n := range nodes[1:] {
			liar.accuse(n, victim, n.member(victim).Incarnation)
		}
		time.Sleep(200 * time.Millisecond) //nolint:forbidigo // the pace of the lies
	}
	heard := uint64(0)
	for _, n := range nodes {
		require.Zero(t, n.MemberStats().Died)
		require.Zero(t, n.seen.blamed(), "an accusation is no provable fault")
		heard += n.MemberStats().Suspected + n.MemberStats().Refuted
	}
	require.Positive(t, heard, "the lies were heard")

	forged := liar.records[victim]
	forged = slices.Clone(forged)
	forged[len(forged)-1]++
	liar.tell(nodes[1], appendField(nil, 8, bump(t, forged)))
	eventually(t, func() bool {
		return slices.Contains(nodes[1].seen.offencesOf(liar.host.ID()), peerscore.LyingAnswer)
	}, "the forger is charged")
	require.Equal(t, member.Alive, nodes[1].member(victim).State)
}

// What is no frame of this protocol costs its sender, and ends the stream; what merely ends too
// early, or never begins, proves nothing.
func TestMalformedMemberFrames(t *testing.T) {
	g, c := testGenesis("member frames"), newClock()
	n := start(t, g, c, func(c *overlay.Config) { c.Limits.FirstFrame = time.Second })
	for name, test := range map[string]struct {
		raw     []byte
		offence []peerscore.Offence
	}{
		"length over limit":  {binary.AppendUvarint(nil, 65<<10), []peerscore.Offence{peerscore.BadFrame}},
		"garbage":            {frame([]byte{0xff, 0xff, 0xff, 0xff}), []peerscore.Offence{peerscore.BadFrame}},
		"not a record":       {frame(appendField(nil, 8, []byte("record"))), []peerscore.Offence{peerscore.BadFrame}},
		"empty elements":     {frame(slices.Repeat([]byte{0x1a, 0}, 30_000)), []peerscore.Offence{peerscore.BadFrame}},
		"too many addresses": {frame(appendField(nil, 8, make([]byte, 3<<10))), []peerscore.Offence{peerscore.BadFrame}},
		"silence":            {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := greetedHost(t, n)
			poke(t, h, n, overlay.MemberProtocol(g.ID()), test.raw)
			if test.offence != nil {
				eventually(t, func() bool { return len(n.seen.offencesOf(h.ID())) > 0 }, "offence")
			}
			require.Equal(t, test.offence, n.seen.offencesOf(h.ID()))
		})
	}
}

// bump gives a record a later sequence number, which its signature is not over.
func bump(t *testing.T, sealed []byte) []byte {
	envelope, err := record.UnmarshalEnvelope(sealed)
	require.NoError(t, err)
	var rec peer.PeerRecord
	require.NoError(t, envelope.TypedRecord(&rec))
	rec.Seq += 1 << 40
	envelope.RawPayload, err = rec.MarshalRecord()
	require.NoError(t, err)
	out, err := envelope.Marshal()
	require.NoError(t, err)
	return out
}

// slanderer is a plain host that speaks the frames of membership, and says what it likes.
type slanderer struct {
	t     *testing.T
	g     *wire.Genesis
	host  host.Host
	nodes []*node

	mu      sync.Mutex
	streams map[peer.ID]network.Stream
	records map[peer.ID][]byte // what it was told
}

func newSlanderer(t *testing.T, nodes []*node) *slanderer {
	l := &slanderer{
		t: t, g: nodes[0].g, host: newHost(t), nodes: nodes,
		streams: make(map[peer.ID]network.Stream), records: make(map[peer.ID][]byte),
	}
	l.host.SetStreamHandler(overlay.MemberProtocol(l.g.ID()), l.keep)
	for _, n := range nodes {
		greet(t, l.host, n)
		if l.host.ID() < n.host.ID() {
			s, err := l.host.NewStream(t.Context(), n.host.ID(), overlay.MemberProtocol(l.g.ID()))
			require.NoError(t, err)
			go l.keep(s)
		}
	}
	rec := peer.NewPeerRecord()
	rec.PeerID = l.host.ID()
	envelope, err := record.Seal(rec, l.host.Peerstore().PrivKey(l.host.ID()))
	require.NoError(t, err)
	own, err := envelope.Marshal()
	require.NoError(t, err)
	for _, n := range nodes {
		eventually(t, func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.streams[n.host.ID()] != nil
		}, "a stream of the liar")
		l.tell(n, appendField(nil, 8, own))
		takesFor(t, l.host.ID(), member.Alive, n)
	}
	return l
}

// keep reads what a node says: it answers pings, and remembers records.
func (l *slanderer) keep(s network.Stream) {
	l.mu.Lock()
	l.streams[s.Conn().RemotePeer()] = s
	l.mu.Unlock()
	in := bufio.NewReader(s)
	for {
		size, err := binary.ReadUvarint(in)
		if err != nil {
			return
		}
		b := make([]byte, size)
		if _, err := io.ReadFull(in, b); err != nil {
			return
		}
		var answer []byte
		for len(b) > 0 {
			num, typ, n := protowire.ConsumeTag(b)
			m := protowire.ConsumeFieldValue(num, typ, b[n:])
			switch num {
			case 1: // a ping: the same nonce as an acknowledgement
				answer = append(protowire.AppendTag(answer, 2, typ), b[n:n+m]...)
			case 9: // a digest: we have nothing, so all that the other has is news
				answer = protowire.AppendVarint(protowire.AppendTag(answer, 10, protowire.VarintType), 1<<16-1)
			case 8:
				sealed, _ := protowire.ConsumeBytes(b[n:])
				if envelope, err := record.UnmarshalEnvelope(sealed); err == nil {
					if id, err := peer.IDFromPublicKey(envelope.PublicKey); err == nil {
						l.mu.Lock()
						l.records[id] = slices.Clone(sealed)
						l.mu.Unlock()
					}
				}
			}
			b = b[n+m:]
		}
		if answer != nil {
			_, _ = s.Write(frame(answer))
		}
	}
}

// tell sends a frame.
func (l *slanderer) tell(n *node, b []byte) {
	l.mu.Lock()
	s := l.streams[n.host.ID()]
	l.mu.Unlock()
	_, _ = s.Write(frame(b))
}

// accuse says of one version of a record that its peer does not answer.
func (l *slanderer) accuse(to *node, p peer.ID, seq uint64) {
	id := l.g.ID()
	message := append([]byte("grapevine/member/accuse/1"), id[:]...)
	message = append(append(message, byte(len(p))), p...)
	mark, err := l.host.Peerstore().PrivKey(l.host.ID()).Sign(binary.BigEndian.AppendUint64(message, seq))
	require.NoError(l.t, err)
	a := appendField(nil, 1, []byte(p))
	a = protowire.AppendVarint(protowire.AppendTag(a, 2, protowire.VarintType), seq)
	a = appendField(a, 3, []byte(l.host.ID()))
	l.tell(to, appendField(nil, 7, appendField(a, 4, mark)))
}

// replay tells all what p once said.
func (l *slanderer) replay(p peer.ID) {
	l.mu.Lock()
	sealed := l.records[p]
	l.mu.Unlock()
	require.NotEmpty(l.t, sealed)
	for _, n := range l.nodes {
		l.tell(n, appendField(nil, 8, sealed))
	}
}

func appendField(dst []byte, num protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, num, protowire.BytesType), b)
}
