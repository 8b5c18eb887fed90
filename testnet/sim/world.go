package sim

import (
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/marcopolo/simnet"
	"github.com/quic-go/quic-go"
	"go.uber.org/fx"

	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// world is the simulated network: lines of a certain width, and a router
// between them that takes its time.
type world struct {
	wires  *wires // constant, as all to meters
	lines  []simnet.NodeBiDiLinkSettings
	meters []*meter
	talk   *talk // nil unless bytes are to be counted by protocol

	mu  sync.Mutex // guards net, which may not be given two endpoints at once
	net *simnet.Simnet
}

// unbounded is a line that is never the limit: simnet has no other word for it.
const unbounded = 1_000_000_000_000

func newWorld(s *scenario.Scenario) (*world, error) {
	latency, err := latencyOf(s.Seed, s.Nodes, s.Network.Latency)
	if err != nil {
		return nil, err
	}
	w := &world{wires: &wires{
		latency: latency, loss: s.Network.Loss, reorder: s.Network.Reorder, rng: stream(s.Seed, streamLinks),
		duplicate: s.Network.Duplicate, twice: stream(s.Seed, streamCopies),
	}}
	if s.Blocks.Count == 0 {
		w.wires.tick = tick
	}
	classes := s.Network.Lines()
	shares := make([]float64, len(classes))
	for i, c := range classes {
		shares[i] = c.Share
	}
	for _, class := range shared(stream(s.Seed, streamClasses), s.Nodes, shares) {
		c := classes[class]
		w.lines = append(w.lines, simnet.NodeBiDiLinkSettings{
			Uplink:   simnet.LinkSettings{BitsPerSecond: bitsPerSecond(c.UpMbps)},
			Downlink: simnet.LinkSettings{BitsPerSecond: bitsPerSecond(c.DownMbps)},
		})
		w.meters = append(w.meters, new(meter))
	}
	w.net = &simnet.Simnet{LatencyFunc: w.wires.route, Logger: slog.New(slog.DiscardHandler)}
	return w, nil
}

func bitsPerSecond(mbps float64) int {
	if mbps == 0 {
		return unbounded
	}
	return int(mbps * 1e6)
}

// count makes the hosts to come count what they send by protocol.
func (w *world) count() { w.talk = &talk{bytes: make(map[protocol.ID]uint64)} }

func (w *world) start() { w.net.Start() }

func (w *world) close() { w.net.Close() }

// sent is what all hosts have sent so far, in bytes.
func (w *world) sent() uint64 {
	var sum uint64
	for _, m := range w.meters {
		sum += m.bytes.Load()
	}
	return sum
}

// listen plugs seat i in. A seat that is plugged in again gets a new socket,
// and what was under way to the old one is lost.
func (w *world) listen(i int, at *net.UDPAddr) net.PacketConn {
	w.mu.Lock()
	defer w.mu.Unlock()
	return &socket{w.net.NewEndpoint(at, w.lines[i]), w.meters[i], w.wires}
}

func addrOf(i int) string { return fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", ipOf(i), port) }

// newHost makes a host at seat i that speaks QUIC over the simulated network.
func (w *world) newHost(i int, key crypto.PrivKey, extra ...libp2p.Option) (host.Host, error) {
	if w.talk != nil {
		extra = append(extra, libp2p.BandwidthReporter(w.talk))
	}
	h, err := libp2p.New(append([]libp2p.Option{
		libp2p.Identity(key),
		libp2p.ListenAddrStrings(addrOf(i)),
		libp2p.Transport(libp2pquic.NewTransport),
		w.quic(i),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.ConnectionManager(connmgr.NullConnMgr{}),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
		node.DialWhatFailed(),
		// It stalls virtual time, as libp2p's own simulations found.
		libp2p.DisableIdentifyAddressDiscovery(),
	}, extra...)...)
	if err != nil {
		return nil, fmt.Errorf("make the host of seat %d: %w", i, err)
	}
	return h, nil
}

// fixedIP answers which address of this machine a packet leaves from.
type fixedIP net.IP

func (f fixedIP) PreferredSourceIPForDestination(*net.UDPAddr) (net.IP, error) { return net.IP(f), nil }

// quic makes a host's QUIC use a simulated socket.
func (w *world) quic(i int) libp2p.Option {
	manager := func(l fx.Lifecycle, reset quic.StatelessResetKey, token quic.TokenGeneratorKey, opts ...quicreuse.Option) (*quicreuse.ConnManager, error) {
		m, err := quicreuse.NewConnManager(reset, token, opts...)
		if err != nil {
			return nil, err
		}
		l.Append(fx.StopHook(m.Close)) // whoever brings a manager of its own closes it
		return m, nil
	}
	return libp2p.QUICReuse(manager,
		quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) { return fixedIP(ipOf(i)), nil }),
		quicreuse.OverrideListenUDP(func(_ string, at *net.UDPAddr) (net.PacketConn, error) { return w.listen(i, at), nil }),
	)
}
