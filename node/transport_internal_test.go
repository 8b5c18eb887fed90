package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/big"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	pb "github.com/libp2p/go-libp2p/core/crypto/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	idpb "github.com/libp2p/go-libp2p/p2p/protocol/identify/pb"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/grapevine-p2p/grapevine/node/config"
)

// publicHost is the host of a public node, on loopback.
func publicHost(t *testing.T) host.Host {
	t.Helper()
	cfg := DefaultConfig(t.TempDir())
	cfg.Profile = config.ProfilePublic
	cfg.ListenAddrs = []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}
	cfg.Logger = slog.New(slog.DiscardHandler)
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	h, err := newHost(cfg, key, new(gate), prometheus.NewRegistry())
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// stranger is a host that listens to nobody.
func stranger(t *testing.T, options ...libp2p.Option) host.Host {
	t.Helper()
	h, err := libp2p.New(append(options, libp2p.NoListenAddrs, libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.ResourceManager(&network.NullResourceManager{}))...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// addrOf is the address of h over one transport.
func addrOf(t *testing.T, h host.Host, transport int) peer.AddrInfo {
	t.Helper()
	for _, a := range h.Network().ListenAddresses() {
		if _, err := a.ValueForProtocol(transport); err == nil {
			return peer.AddrInfo{ID: h.ID(), Addrs: []ma.Multiaddr{a}}
		}
	}
	require.Fail(t, "no such address")
	return peer.AddrInfo{}
}

// tcpOf is where h listens for TCP.
func tcpOf(t *testing.T, h host.Host) string {
	t.Helper()
	a, err := manet.ToNetAddr(addrOf(t, h, ma.P_TCP).Addrs[0])
	require.NoError(t, err)
	return a.String()
}

// welcomes says whether h still takes a newcomer.
func welcomes(t *testing.T, h host.Host, transport int) {
	t.Helper()
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return stranger(t).Connect(ctx, addrOf(t, h, transport)) == nil
	}, 20*time.Second, 100*time.Millisecond, "a newcomer is let in")
}

// freed waits until few goroutines are left over.
func freed(t *testing.T, before int, within time.Duration) {
	t.Helper()
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+before/20+50 }, within, 50*time.Millisecond,
		"%d goroutines before", before)
}

const freeWithin = 10 * time.Second

// T1: five thousand TCP connections that say nothing hold their places for ten seconds at
// most.
func TestT1HalfOpenConnectionsAreFreed(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for ten seconds")
	}
	h := publicHost(t)
	before := runtime.NumGoroutine()
	const count = 5000
	var open atomic.Int64
	done := make(chan time.Duration, count)
	for range count {
		c, err := net.Dial("tcp", tcpOf(t, h))
		require.NoError(t, err)
		open.Add(1)
		began := time.Now()
		go func() {
			defer c.Close()
			_ = c.SetReadDeadline(began.Add(3 * freeWithin))
			_, _ = io.Copy(io.Discard, c)
			open.Add(-1)
			done <- time.Since(began)
		}()
	}
	require.Less(t, open.Load(), int64(count*3/4), "most are turned away at once")
	var longest time.Duration
	for range count {
		longest = max(longest, <-done)
	}
	require.Less(t, longest, freeWithin)
	freed(t, before, 5*time.Second)
	welcomes(t, h, ma.P_TCP)
}

// T2: a handshake of a byte a second is given up in ten seconds.
func TestT2SlowHandshakeIsGivenUp(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for ten seconds")
	}
	h := publicHost(t)
	const hello = "\x13/multistream/1.0.0\n"
	for name, said := range map[string]string{"from the first byte": "", "once noise is chosen": hello + "\x07/noise\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", tcpOf(t, h))
			require.NoError(t, err)
			defer c.Close()
			began := time.Now()
			_, err = io.WriteString(c, said)
			require.NoError(t, err)
			go func() {
				for _, b := range []byte(strings.Repeat(hello, 10)) {
					if _, err := c.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			}()
			_ = c.SetReadDeadline(began.Add(3 * freeWithin))
			_, _ = io.Copy(io.Discard, c)
			require.Less(t, time.Since(began), freeWithin)
		})
	}
}

// rawStream is a stream on which no protocol was negotiated.
func rawStream(t *testing.T, from host.Host, to peer.ID) network.Stream {
	t.Helper()
	s, err := from.Network().NewStream(t.Context(), to)
	require.NoError(t, err)
	_ = s.SetDeadline(time.Now().Add(3 * freeWithin))
	return s
}

// T3: garbage in place of a protocol, one of 64 KiB, and unknown ones without end, end their
// streams and nothing else.
func TestT3StrangeProtocolsAreRefused(t *testing.T) {
	h := publicHost(t)
	c := stranger(t)
	require.NoError(t, c.Connect(t.Context(), addrOf(t, h, ma.P_TCP)))
	before := runtime.NumGoroutine()
	for name, raw := range map[string][]byte{
		"garbage":        bytes.Repeat([]byte{0xff}, 1000),
		"length 0":       make([]byte, 1000),
		"64 KiB of name": append(binary.AppendUvarint(nil, 64<<10), bytes.Repeat([]byte{'a'}, 64<<10)...),
	} {
		t.Run(name, func(t *testing.T) {
			s := rawStream(t, c, h.ID())
			began := time.Now()
			_, _ = s.Write(raw)
			_, _ = io.Copy(io.Discard, s)
			require.Less(t, time.Since(began), freeWithin)
		})
	}
	for i := range 1000 {
		_, err := c.NewStream(t.Context(), h.ID(), protocol.ID(fmt.Sprintf("/unknown/%d", i)))
		require.ErrorContains(t, err, "protocols not supported")
	}
	freed(t, before, 5*time.Second)
	welcomes(t, h, ma.P_TCP)
}

// T4: of a thousand streams that say nothing a bounded number is held, each for ten seconds and
// no more.
func TestT4SilentStreamsAreFreed(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for ten seconds")
	}
	h := publicHost(t)
	c := stranger(t)
	require.NoError(t, c.Connect(t.Context(), addrOf(t, h, ma.P_TCP)))
	held := func() int { return len(h.Network().ConnsToPeer(c.ID())[0].GetStreams()) }
	for range 1000 {
		if _, err := c.Network().NewStream(t.Context(), h.ID()); err != nil {
			break
		}
	}
	opened := time.Now()
	most := 0
	require.Eventually(t, func() bool {
		if len(h.Network().ConnsToPeer(c.ID())) == 0 {
			return true
		}
		most = max(most, held())
		return most > 0 && held() <= 1
	}, 2*freeWithin, 20*time.Millisecond)
	require.Less(t, time.Since(opened), freeWithin+time.Second, "ten seconds are libp2p's own")
	require.LessOrEqual(t, most, 600, "the limit of a peer")
}

// T10: two processes with one key are one peer, which is gone when both are.
func TestT10OneKeyInTwoPlaces(t *testing.T) {
	h := publicHost(t)
	key, _, err := crypto.GenerateEd25519Key(nil)
	require.NoError(t, err)
	one, two := stranger(t, libp2p.Identity(key)), stranger(t, libp2p.Identity(key))
	require.NoError(t, one.Connect(t.Context(), addrOf(t, h, ma.P_TCP)))
	require.NoError(t, two.Connect(t.Context(), addrOf(t, h, ma.P_QUIC_V1)))
	require.Eventually(t, func() bool { return len(h.Network().ConnsToPeer(one.ID())) == 2 }, freeWithin, 10*time.Millisecond)
	require.Equal(t, []peer.ID{one.ID()}, h.Network().Peers())
	require.NoError(t, one.Close())
	require.Eventually(t, func() bool { return len(h.Network().ConnsToPeer(one.ID())) == 1 }, freeWithin, 10*time.Millisecond)
	require.NoError(t, two.Close())
	require.Eventually(t, func() bool { return len(h.Network().Peers()) == 0 }, freeWithin, 10*time.Millisecond)
}

// forged is an identity of which another key is told than signs for it.
type forged struct {
	crypto.PrivKey
	told toldKey
}

func (f forged) GetPublic() crypto.PubKey { return f.told }

// toldKey is a public key as it is told in a handshake.
type toldKey struct {
	crypto.PubKey // of who signs
	sort          pb.KeyType
	raw           []byte
}

func (k toldKey) Type() pb.KeyType     { return k.sort }
func (k toldKey) Raw() ([]byte, error) { return k.raw, nil }

// answered says whether a node goes on after a handshake by noise in which it was told a key.
func answered(t *testing.T, h host.Host, key crypto.PrivKey) bool {
	t.Helper()
	c, err := net.Dial("tcp", tcpOf(t, h))
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(2*freeWithin)))
	const choice = "\x13/multistream/1.0.0\n\x07/noise\n"
	_, err = io.WriteString(c, choice)
	require.NoError(t, err)
	chosen := make([]byte, len(choice))
	_, err = io.ReadFull(c, chosen)
	require.NoError(t, err)
	require.Equal(t, choice, string(chosen))
	tr, err := noise.New(noise.ID, key, nil)
	require.NoError(t, err)
	s, err := tr.SecureOutbound(t.Context(), c, h.ID())
	require.NoError(t, err, "the key is told with the last message")
	_, _ = io.WriteString(s, "\x13/multistream/1.0.0\n")
	_, err = io.ReadFull(s, make([]byte, 1))
	return err == nil
}

// T11: keys that cost too much to use, or of no known sort, or that are not of who signs, are refused
// in the handshake, and so is who has another id than was dialled.
func TestT11KeysAreChecked(t *testing.T) {
	h := publicHost(t)
	n := new(big.Int).SetBit(big.NewInt(1), 16*1024-1, 1)
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n, E: 65537})
	require.NoError(t, err)
	honest, public, err := crypto.GenerateEd25519Key(nil)
	require.NoError(t, err)
	_, other, err := crypto.GenerateEd25519Key(nil)
	require.NoError(t, err)
	raw := func(k crypto.PubKey) []byte {
		b, err := k.Raw()
		require.NoError(t, err)
		return b
	}
	require.True(t, answered(t, h, honest))
	require.True(t, answered(t, h, forged{honest, toldKey{public, pb.KeyType_Ed25519, raw(public)}}), "told as it is")
	for name, told := range map[string]toldKey{
		"RSA of 16 Kbit": {public, pb.KeyType_RSA, der},
		"unknown":        {public, pb.KeyType(99), raw(public)},
		"short":          {public, pb.KeyType_Ed25519, raw(public)[:31]},
		"of another":     {other, pb.KeyType_Ed25519, raw(other)},
	} {
		began := time.Now()
		require.False(t, answered(t, h, forged{honest, told}), name)
		require.Less(t, time.Since(began), time.Second, name)
	}
	_, err = peer.IDFromBytes(append([]byte(h.ID()), 0))
	require.Error(t, err, "bytes behind the id")
	server := publicHost(t)
	for _, transport := range []int{ma.P_TCP, ma.P_QUIC_V1} {
		dialled := addrOf(t, server, transport)
		dialled.ID = stranger(t).ID()
		require.ErrorContains(t, h.Connect(t.Context(), dialled), "peer id mismatch")
	}
	require.Empty(t, h.Network().Peers())
}

// spy is a yamux that keeps the connection under it.
type spy struct {
	*yamux.Transport
	raw chan net.Conn
}

func (s spy) NewConn(c net.Conn, isServer bool, scope network.PeerScope) (network.MuxedConn, error) {
	s.raw <- c
	return s.Transport.NewConn(c, isServer, scope)
}

// T12: QUIC packets of other versions, of connections that there are not, and that are none,
// are answered with less than they were, and leave nothing.
func TestT12StrangePacketsCostLittle(t *testing.T) {
	h := publicHost(t)
	port, err := addrOf(t, h, ma.P_QUIC_V1).Addrs[0].ValueForProtocol(ma.P_UDP)
	require.NoError(t, err)
	from := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	c, err := from.Dial("udp4", "127.0.0.1:"+port)
	require.NoError(t, err)
	defer c.Close()
	var answered, answers atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2048)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			answered.Add(int64(n))
			answers.Add(1)
		}
	}()
	before := runtime.NumGoroutine()
	rng := rand.New(rand.NewPCG(12, 12))
	// long is a packet with a long header, of a version and with connection ids of a length.
	long := func(first byte, version uint32, ids byte, size int) []byte {
		b := binary.BigEndian.AppendUint32([]byte{first}, version)
		for range 2 {
			b = append(b, ids)
			for range ids {
				b = append(b, byte(rng.Uint32()))
			}
		}
		for len(b) < size {
			b = append(b, byte(rng.Uint32()))
		}
		return b
	}
	sent := 0
	send := func(b []byte) {
		if n, err := c.Write(b); err == nil { // a full buffer loses it, as the network may
			sent += n
		}
	}
	for range 60 { // more of those that do not decrypt hold all places for handshakes, for five seconds
		send(long(0xc0, 0x0a0a0a0a, 8, 1200))         // a version that is reserved to be refused
		send(long(0xc0, 0x0a0a0a0a, 8, 64))           // the same, too short to be answered
		send(long(0xc0, 0, 8, 1200))                  // a refusal, of what was not asked
		send(long(0xc3, 1, 8, 1200))                  // a first packet that does not decrypt
		send(long(0xd3, 1, 8, 1200))                  // 0-RTT of a connection that there never was
		send(long(0xf0, 1, 20, 1200))                 // a retry
		send(long(0xc3, 1, 255, 1200))                // ids that are too long
		send(long(0x40|byte(rng.Uint32()), 1, 8, 40)) // a short header, of nobody's connection
		send([]byte{0xc0})
	}
	require.Eventually(t, func() bool { return answers.Load() > 0 }, freeWithin, 10*time.Millisecond, "versions are negotiated")
	welcomes(t, h, ma.P_QUIC_V1)
	require.Less(t, answered.Load(), int64(sent)/3, "whoever gives another's address brings little upon it")
	_ = c.Close()
	<-done
	freed(t, before, freeWithin)
}

// T13: pings and windows of the multiplexer without end cost little memory while they
// come, and nobody else their connection.
func TestT13MultiplexerFloodsCostLittle(t *testing.T) {
	h := publicHost(t)
	s := spy{yamux.DefaultTransport, make(chan net.Conn, 1)}
	c := stranger(t, libp2p.Muxer(yamux.ID, s))
	require.NoError(t, c.Connect(t.Context(), addrOf(t, h, ma.P_TCP)))
	raw := <-s.raw
	live := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	live() // what had finalizers is gone with the next
	before, most := live(), int64(math.MinInt64)
	header := func(sort byte, flags uint16, stream, length uint32) []byte {
		b := []byte{0, sort}
		b = binary.BigEndian.AppendUint16(b, flags)
		b = binary.BigEndian.AppendUint32(b, stream)
		return binary.BigEndian.AppendUint32(b, length)
	}
	_ = raw.SetWriteDeadline(time.Now().Add(freeWithin))
	for i := range uint32(100_000) {
		_, err := raw.Write(append(header(2, 1, 0, i), header(1, 0, 1, math.MaxUint32)...))
		require.NoError(t, err, "%d were taken", i)
		if i%10_000 == 0 {
			most = max(most, live()-before)
		}
	}
	most = max(most, live()-before)
	require.Less(t, most, int64(1<<20), "while they come, at both ends")
	welcomes(t, h, ma.P_TCP)
}

// T14: what a peer says of itself is kept within bounds: all of it in one message, which is over
// the limit of one, or in as many as identify reads, and in more.
func TestT14IdentifyIsBounded(t *testing.T) {
	const (
		claims   = 10_000 // addresses, and as many protocols
		messages = 9      // identify reads ten, the last of which may be empty
		message  = 8_000  // bytes, below its limit of 8 KiB
		kept     = 500    // addresses of one peer: the peerstore's own limit
		spoken   = 128    // protocols of one peer; where more are told, none is kept
	)
	h := publicHost(t)
	address := func(i int) []byte {
		return ma.StringCast(fmt.Sprintf("/ip4/10.1.%d.%d/tcp/4001", i/250, i%250+1)).Bytes()
	}
	protocolOf := func(i int) string { return fmt.Sprintf("/some/protocol/of/many/%d", i) }
	// says is a host that answers identify with these messages.
	says := func(messages ...*idpb.Identify) host.Host {
		c := stranger(t)
		c.SetStreamHandler(identify.ID, func(s network.Stream) {
			for _, m := range messages {
				raw, err := proto.Marshal(m)
				if err != nil {
					break
				}
				if _, err := s.Write(append(binary.AppendUvarint(nil, uint64(len(raw))), raw...)); err != nil {
					break
				}
			}
			_ = s.CloseWrite()
		})
		return c
	}
	// pieces are messages of which half are full of addresses, the others of protocols.
	pieces := func(count int) (all []*idpb.Identify) {
		serial := 0
		for i := range count {
			m := new(idpb.Identify)
			for size := 0; size < message-100; serial++ {
				if i%2 == 0 {
					m.ListenAddrs = append(m.ListenAddrs, address(serial))
					size += len(m.ListenAddrs[0]) + 2
				} else {
					m.Protocols = append(m.Protocols, protocolOf(serial))
					size += len(protocolOf(serial)) + 2
				}
			}
			all = append(all, m)
		}
		return all
	}
	one := new(idpb.Identify)
	for i := range claims {
		one.ListenAddrs, one.Protocols = append(one.ListenAddrs, address(i)), append(one.Protocols, protocolOf(i))
	}
	type claimant struct {
		host.Host
		heard     bool // something of it is kept
		addresses int  // at most
		protocols int
		agent     int
	}
	honest := []*idpb.Identify{{AgentVersion: proto.String("honest"), Protocols: []string{"/a"}, ListenAddrs: [][]byte{address(1)}}}
	all := map[string]claimant{
		"honest":                {says(honest...), true, 1, 1, 10},
		"agent of 1 MiB":        {says(&idpb.Identify{AgentVersion: proto.String(strings.Repeat("a", 1<<20))}), false, 0, 0, 0},
		"control characters":    {says(&idpb.Identify{AgentVersion: proto.String(strings.Repeat("\x1b[2J", 500))}), true, 0, 0, 2000},
		"10,000 in one message": {says(one), false, 0, 0, 0},
		"10,000 in many":        {says(pieces(80)...), false, 0, 0, 0},
		"in as many as is read": {says(pieces(messages)...), true, kept, spoken, 0},
	}
	told := func(p peer.ID) (addresses, protocols, agent int) {
		if v, err := h.Peerstore().Get(p, "AgentVersion"); err == nil {
			agent = len(v.(string))
		}
		ids, err := h.Peerstore().GetProtocols(p)
		require.NoError(t, err)
		return len(h.Peerstore().Addrs(p)), len(ids), agent
	}
	for name, c := range all {
		require.NoError(t, c.Connect(t.Context(), addrOf(t, h, ma.P_TCP)), name)
	}
	for name, c := range all {
		if c.heard {
			require.Eventually(t, func() bool {
				addresses, protocols, agent := told(c.ID())
				return addresses+protocols+agent > 0
			}, freeWithin, 10*time.Millisecond, name)
		}
	}
	welcomes(t, h, ma.P_TCP)
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for name, c := range all {
			addresses, protocols, agent := told(c.ID())
			require.LessOrEqual(t, addresses, c.addresses, "addresses: %s", name)
			require.LessOrEqual(t, protocols, c.protocols, "protocols: %s", name)
			require.LessOrEqual(t, agent, c.agent, "agent: %s", name)
		}
	}
}

// T15: of a hundred connections a second from one /24 few are taken, those of others all.
func TestT15ConnectionChurnIsBounded(t *testing.T) {
	rm, err := limitsOf(config.ProfilePublic)
	require.NoError(t, err)
	defer rm.Close()
	open := func(addr string) (network.ConnManagementScope, bool) {
		scope, err := rm.OpenConnection(network.DirInbound, true, ma.StringCast(addr))
		return scope, err == nil
	}
	churned := 0
	for i := range 1000 { // ten seconds' worth at once
		if scope, ok := open(fmt.Sprintf("/ip4/203.0.113.%d/tcp/4001", i%250)); ok {
			churned++
			scope.Done()
		}
	}
	require.LessOrEqual(t, churned, 2*perBlock+2)
	for i := range 50 {
		_, ok := open(fmt.Sprintf("/ip4/198.51.%d.1/tcp/4001", i))
		require.True(t, ok, "another network")
	}
	kept := 0
	for i := range 1000 {
		if _, ok := open(fmt.Sprintf("/ip4/192.0.2.%d/tcp/4001", i%250)); ok {
			kept++
		}
	}
	require.LessOrEqual(t, kept, perBlock)
}
