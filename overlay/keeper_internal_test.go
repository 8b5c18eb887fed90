package overlay

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/grapevine-p2p/grapevine/overlay/dial"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	one = "12D3KooWBmAwcd4PJNJvfV89HwE48nwkRmAgo8Vy3uQEyNNHBox2"
	two = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
)

func peerID(t *testing.T, text string) peer.ID {
	t.Helper()
	p, err := peer.Decode(text)
	require.NoError(t, err)
	return p
}

// Addresses of the forms that the book knows survive the way there and back; others are
// left out.
func TestAddressesOfTheBook(t *testing.T) {
	p := peerID(t, one)
	for text, back := range map[string]string{
		"/ip4/8.8.8.8/tcp/7410":                                                "/ip4/8.8.8.8/tcp/7410",
		"/ip4/8.8.8.8/udp/7410/quic-v1":                                        "/ip4/8.8.8.8/udp/7410/quic-v1",
		"/ip6/2600:1900::1/tcp/1":                                              "/ip6/2600:1900::1/tcp/1",
		"/ip6/2600:1900::1/udp/65535/quic-v1":                                  "/ip6/2600:1900::1/udp/65535/quic-v1",
		"/ip6/::ffff:8.8.8.8/tcp/7410":                                         "",
		"/ip4/8.8.8.8/tcp/7410/p2p/" + one:                                     "/ip4/8.8.8.8/tcp/7410",
		"/ip4/8.8.8.8/tcp/7410/p2p/" + two:                                     "",
		"/p2p/" + one:                                                          "",
		"/ip4/8.8.8.8":                                                         "",
		"/ip4/8.8.8.8/udp/7410":                                                "",
		"/ip4/8.8.8.8/udp/7410/quic-v1/webtransport":                           "",
		"/ip4/8.8.8.8/tcp/7410/ws":                                             "",
		"/dns4/example.org/tcp/7410":                                           "",
		"/ip6zone/eth0/ip6/fe80::1/tcp/7410":                                   "",
		"/ip4/8.8.8.8/tcp/7410/p2p/" + two + "/p2p-circuit":                    "",
		"/ip4/8.8.8.8/tcp/7410/p2p/" + two + "/p2p-circuit/p2p/" + one:         "",
		"/unix/" + strings.Repeat("x", 50):                                     "",
		"/ip4/8.8.8.8/udp/7410/quic-v1/p2p/" + one + "/p2p-circuit/p2p/" + one: "",
	} {
		a, ok := addressOf(p, multiaddr.StringCast(text))
		require.Equal(t, back != "", ok, text)
		if ok {
			m, err := multiaddrOf(a)
			require.NoError(t, err)
			require.Equal(t, back, m.String())
			require.EqualValues(t, p, a.Peer)
		}
	}
}

func keeperOf(t *testing.T) (*keeper, host.Host) {
	t.Helper()
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableMetrics(), libp2p.DisableRelay())
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	core, err := dial.New(dial.DefaultConfig(), dial.Key{1}, nil, rand.New(rand.NewPCG(1, 1)))
	require.NoError(t, err)
	return &keeper{
		cfg: Dial{Config: dial.DefaultConfig(), Local: true}, network: wire.NetworkID{1, 2, 3}, host: h, core: core,
		log: slog.New(slog.DiscardHandler),
	}, h
}

// D10: whoever is in the local network can invent peers, and is heard of some only; their
// addresses may be private, for that is what the operator asked for.
func TestLocalPeersAreBounded(t *testing.T) {
	k, h := keeperOf(t)
	n := &neighbours{keeper: k, seen: make(map[peer.ID]struct{})}
	n.HandlePeerFound(peer.AddrInfo{ID: h.ID(), Addrs: []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/192.168.1.2/tcp/7410")}})
	require.Empty(t, k.core.Tick(time.Now(), nil), "it is ourselves")
	n.HandlePeerFound(peer.AddrInfo{ID: peerID(t, one), Addrs: []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/192.168.1.1/tcp/7410")}})
	require.Len(t, k.core.Tick(time.Now(), nil), 1)
	for i := range 10 * maxLocal {
		n.HandlePeerFound(peer.AddrInfo{
			ID:    peer.ID([]byte{0, 2, byte(i), byte(i >> 8)}),
			Addrs: []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/192.168.1.1/tcp/7410")},
		})
	}
	require.Len(t, n.seen, maxLocal)
}

// D4: a node does not dial itself, whoever gives it its own address: the operator, a name, or a peer.
func TestD4WeDoNotDialOurselves(t *testing.T) {
	at := multiaddr.StringCast("/ip4/8.8.8.8/tcp/7410")
	other := peerID(t, one)
	for name, from := range map[string]func(k *keeper, who peer.ID) *keeper{
		"bootstrap": func(k *keeper, who peer.ID) *keeper {
			o := &Overlay{host: k.host, log: k.log, cfg: Config{Dial: DefaultDial(), Bootstrap: []peer.AddrInfo{{ID: who, Addrs: []multiaddr.Multiaddr{at}}}}}
			k, err := newKeeper(o)
			require.NoError(t, err)
			return k
		},
		"a name": func(k *keeper, who peer.ID) *keeper {
			name := multiaddr.StringCast("/dnsaddr/boot.example")
			k.cfg.Resolver = oneName{at.Encapsulate(multiaddr.StringCast("/p2p/" + who.String()))}
			k.core.Seeds(k.lookUp(t.Context(), []multiaddr.Multiaddr{name}))
			return k
		},
		"an address beside a name": func(k *keeper, who peer.ID) *keeper {
			k.core.Seeds(k.lookUp(t.Context(), []multiaddr.Multiaddr{at.Encapsulate(multiaddr.StringCast("/p2p/" + who.String()))}))
			return k
		},
		"a record that a peer passes on": func(k *keeper, who peer.ID) *keeper {
			k.core.Accepted(time.Now(), peerscore.PeerID(peerID(t, two)), netip.MustParseAddrPort("9.9.9.9:1"))
			k.heard(peerID(t, two), who, []multiaddr.Multiaddr{at})
			return k
		},
	} {
		t.Run(name, func(t *testing.T) {
			dials := func(who func(host.Host) peer.ID) (to []peerscore.PeerID) {
				k, h := keeperOf(t)
				k = from(k, who(h))
				for _, d := range k.core.Tick(time.Now(), nil) {
					to = append(to, d.Address.Peer)
				}
				return to
			}
			require.Equal(t, []peerscore.PeerID{peerscore.PeerID(other)}, dials(func(host.Host) peer.ID { return other }), "this way leads somewhere")
			require.Empty(t, dials(host.Host.ID), "to us, it does not")
		})
	}
}

// oneName is a name system in which every name stands for one address.
type oneName struct{ at multiaddr.Multiaddr }

func (n oneName) ResolveDNSAddr(context.Context, peer.ID, multiaddr.Multiaddr, int, int) ([]multiaddr.Multiaddr, error) {
	return []multiaddr.Multiaddr{n.at}, nil
}

func (n oneName) ResolveDNSComponent(context.Context, multiaddr.Multiaddr, int) ([]multiaddr.Multiaddr, error) {
	return []multiaddr.Multiaddr{n.at}, nil
}

// Multicast may not be had on this machine; whatever becomes of it ends with the node.
func TestLookingAroundEnds(t *testing.T) {
	before := goleak.IgnoreCurrent()
	k, h := keeperOf(t)
	require.LessOrEqual(t, len(strings.TrimSuffix(k.service(), "._udp")), 16, "the bound of DNS-SD, underscore not counted")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		k.lookAround(ctx)
		close(done)
	}()
	cancel()
	<-done
	require.NoError(t, h.Close())
	goleak.VerifyNone(t, before)
}

// What a peer is good for is seen by eviction.
func TestInboundLinksAsEvictionSeesThem(t *testing.T) {
	_, a := keeperOf(t)
	b, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableMetrics(), libp2p.DisableRelay())
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	now := time.Unix(1_800_000_000, 0)
	r := newRoster(DefaultLimits(), b.Network(), func() time.Time { return now }, newLinks(), newLinks())
	require.NoError(t, a.Connect(t.Context(), peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}))
	var m *member
	require.Eventually(t, func() bool { m, _, _ = r.join(a.ID()); return m != nil }, 30*time.Second, time.Millisecond)
	everybody := func(peer.ID) bool { return true }
	got := r.inbound(everybody)
	require.Len(t, got, 1)
	require.True(t, got[0].Guest, "it has not said hello")
	require.Equal(t, "127.0.0.1", got[0].IP.String())
	require.Equal(t, b.Network().ConnsToPeer(a.ID())[0].Stat().Opened, got[0].Since, "not by the shell's clock")
	require.True(t, got[0].Useful.IsZero() && got[0].Block.IsZero())

	require.True(t, r.greet(m, &wire.Hello{}, 5*time.Millisecond))
	r.brought(a.ID(), false)
	now = now.Add(time.Second)
	r.brought(a.ID(), true)
	got = r.inbound(everybody)
	require.False(t, got[0].Guest)
	require.Equal(t, 5*time.Millisecond, got[0].RTT)
	require.Equal(t, now.Add(-time.Second), got[0].Useful)
	require.Equal(t, now, got[0].Block)

	require.Empty(t, r.inbound(func(peer.ID) bool { return false }))
	r.update(a.ID(), func(m *member) { m.leaving = true })
	require.Empty(t, r.inbound(everybody), "it is on its way out")
}
