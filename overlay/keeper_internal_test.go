package overlay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
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
		"/ip6/::ffff:8.8.8.8/tcp/7410":                                         "/ip4/8.8.8.8/tcp/7410",
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

// What the operator wrote as IPv4 in the form of IPv6 is that IPv4 address: it is dialled, and what is
// banned is banned so written. OnWord, of strangers, takes none.
func TestIPv4InTheFormOfIPv6(t *testing.T) {
	text := multiaddr.StringCast("/ip6/::ffff:8.8.8.8/udp/7410/quic-v1")
	require.Equal(t, netip.MustParseAddr("8.8.8.8"), ipOf(text))
	k, _ := keeperOf(t)
	seeds := k.seedsOf(text.Encapsulate(multiaddr.StringCast("/p2p/" + one)))
	require.Equal(t, []dial.Address{at(t, peerID(t, one), "/ip4/8.8.8.8/udp/7410/quic-v1")}, seeds)
	require.False(t, OnWord(text))
	require.True(t, OnWord(multiaddr.StringCast("/ip4/8.8.8.8/udp/7410/quic-v1")))
	require.True(t, OnWord(multiaddr.StringCast("/ip6/2600:1900::1/udp/7410/quic-v1")))
}

// publicAt is where a keeper under test says that it is.
const publicAt = "/ip4/8.8.4.4/tcp/7410"

func keeperOf(t *testing.T) (*keeper, host.Host) {
	t.Helper()
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableMetrics(), libp2p.DisableRelay(),
		libp2p.AddrsFactory(func([]multiaddr.Multiaddr) []multiaddr.Multiaddr {
			return []multiaddr.Multiaddr{multiaddr.StringCast(publicAt)}
		}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	core, err := dial.New(dial.DefaultConfig(), dial.Key{1}, nil, rand.New(rand.NewPCG(1, 1)))
	require.NoError(t, err)
	return &keeper{
		cfg: Dial{Config: dial.DefaultConfig(), Local: true}, network: wire.NetworkID{1, 2, 3}, host: h, core: core,
		log: slog.New(slog.DiscardHandler),
	}, h
}

// D3: what a peer tells of others leads to no name, nor to ourselves, nor to anything else that
// is not public: it is not even in the book.
func TestD3WhatPeersTellLeadsToThePublicOnly(t *testing.T) {
	for told, taken := range map[string]bool{
		"/ip4/8.8.8.8/tcp/7410":              true,
		"/ip4/8.8.4.4/tcp/7411":              true, // another node of our machine, or behind our NAT
		"/ip4/8.8.4.4/udp/7410/quic-v1":      true,
		publicAt:                             false,
		"/dns/localhost/tcp/7410":            false,
		"/dns4/intranet/tcp/7410":            false,
		"/dns6/intranet/udp/7410/quic-v1":    false,
		"/dnsaddr/intranet":                  false,
		"/ip4/127.0.0.1/tcp/7410":            false,
		"/ip4/192.168.1.1/udp/7410/quic-v1":  false,
		"/ip4/169.254.169.254/tcp/80":        false,
		"/ip4/0.0.0.0/tcp/7410":              false,
		"/ip4/224.0.0.1/udp/7410/quic-v1":    false,
		"/ip4/8.8.8.8/tcp/0":                 false,
		"/ip4/8.8.8.8/tcp/22":                false,
		"/ip4/8.8.8.8/tcp/25":                false,
		"/ip6/::1/tcp/7410":                  false,
		"/ip6/fe80::1/tcp/7410":              false,
		"/ip6/::ffff:127.0.0.1/tcp/7410":     false,
		"/ip6/::ffff:8.8.8.8/tcp/7410":       false,
		"/ip6/64:ff9b::7f00:1/tcp/7410":      false,
		"/ip6/ff02::1/udp/7410/quic-v1":      false,
		"/ip6zone/eth0/ip6/fe80::1/tcp/7410": false,
		"/ip4/8.8.8.8/tcp/7410/p2p/" + two:   false,
	} {
		k, _ := keeperOf(t)
		k.core.Accepted(time.Now(), peerscore.PeerID(peerID(t, two)), netip.MustParseAddrPort("9.9.9.9:1"))
		k.heard(peerID(t, two), peerID(t, one), []multiaddr.Multiaddr{multiaddr.StringCast(told)})
		known, _ := k.core.Book().Len()
		require.Equal(t, taken, known == 1, told)
		require.Equal(t, taken, len(k.core.Tick(time.Now(), nil)) == 1, told)
	}
}

// D3: a name that a peer tells is not looked up either: that alone would tell whoever answers for
// it of us, and take as long as they like.
func TestD3NamesOfStrangersAreNotLookedUp(t *testing.T) {
	k, _ := keeperOf(t)
	var asked atomic.Int32
	was := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		asked.Add(1)
		return nil, errors.New("no name server in this test")
	}}
	t.Cleanup(func() { net.DefaultResolver = was })
	_, err := net.LookupHost("somebody.example.")
	require.Error(t, err)
	require.Positive(t, asked.Swap(0), "look-ups are seen")
	k.core.Accepted(time.Now(), peerscore.PeerID(peerID(t, two)), netip.MustParseAddrPort("9.9.9.9:1"))
	n := &neighbours{keeper: k, seen: make(map[peer.ID]struct{})}
	for _, text := range []string{"/dns/a.example/tcp/7410", "/dns4/a.example/udp/7410/quic-v1", "/dns6/a.example/tcp/7410", "/dnsaddr/a.example"} {
		name := multiaddr.StringCast(text)
		k.heard(peerID(t, two), peerID(t, one), []multiaddr.Multiaddr{name})
		n.HandlePeerFound(peer.AddrInfo{ID: peerID(t, one), Addrs: []multiaddr.Multiaddr{name}})
		require.False(t, OnWord(name))
	}
	require.Zero(t, asked.Load())
}

// poisoned is what whoever is in the local network can say of one peer: a thousand addresses of
// every sort.
func poisoned() (addrs []multiaddr.Multiaddr) {
	for i := range 100 {
		for _, text := range []string{
			"/ip4/192.168.%d.1/tcp/7410", "/ip4/127.0.%d.1/udp/7410/quic-v1", "/ip4/10.%d.0.1/tcp/7410", "/ip4/8.%d.8.8/tcp/7410",
			"/ip4/224.0.%d.1/udp/7410/quic-v1", "/ip4/8.8.%d.8/tcp/22", "/ip6/fe80::%d/tcp/7410", "/dns4/host%d.local/tcp/7410",
			"/ip4/8.8.8.%d/tcp/7410/ws", "/ip4/0.0.0.%d/tcp/7410",
		} {
			addrs = append(addrs, multiaddr.StringCast(fmt.Sprintf(text, i)))
		}
	}
	return addrs
}

// invent is the nth peer that somebody makes up.
func invent(n int) peer.ID { return peer.ID([]byte{0, 3, 8, byte(n), byte(n >> 8)}) }

// D10: there is no DHT and no rendezvous; what multicast DNS finds is bounded, since whoever is in
// the local network can invent peers, and is only believed to be an address. Private ones are taken, for that is what the operator asked for.
func TestD10LocalPeersAreBounded(t *testing.T) {
	const crowd = 10_000
	k, _ := keeperOf(t)
	n := &neighbours{keeper: k, seen: make(map[peer.ID]struct{})}
	lie := poisoned()
	for range 2 { // who was seen may say something else
		for i := range crowd {
			n.HandlePeerFound(peer.AddrInfo{ID: invent(i), Addrs: lie})
		}
		require.Len(t, n.seen, maxLocal)
		known, _ := k.core.Book().Len()
		require.Positive(t, known)
		require.LessOrEqual(t, known, maxLocal*dial.MaxPerPeer)
	}
}

func TestD10LocalAddressesAreLookedAt(t *testing.T) {
	for said, taken := range map[string]bool{
		"/ip4/192.168.1.1/tcp/7410":                      true,
		"/ip4/127.0.0.1/udp/7410/quic-v1":                true,
		"/ip4/100.64.0.1/tcp/7410":                       true,
		"/ip4/8.8.8.8/tcp/7410":                          true,
		"/ip6/fd00::1/tcp/7410":                          true,
		publicAt:                                         false, // ourselves, under another id
		"/ip4/192.168.1.1/tcp/22":                        false,
		"/ip4/127.0.0.1/tcp/25":                          false,
		"/ip4/192.168.1.1/tcp/0":                         false,
		"/ip4/224.0.0.1/udp/7410/quic-v1":                false,
		"/ip4/255.255.255.255/udp/7410/quic-v1":          false,
		"/ip4/0.0.0.0/tcp/7410":                          false,
		"/ip6/::/tcp/7410":                               false,
		"/ip6/ff02::1/tcp/7410":                          false,
		"/ip6/::ffff:192.168.1.1/tcp/7410":               false,
		"/ip6/64:ff9b::7f00:1/tcp/7410":                  false,
		"/dns4/printer.local/tcp/7410":                   false,
		"/ip4/192.168.1.1/tcp/7410/ws":                   false,
		"/ip4/192.168.1.1/tcp/7410/p2p/" + two:           false,
		"/ip4/192.168.1.1":                               false,
		"/unix/" + strings.Repeat("x", 50):               false,
		"/ip4/8.8.8.8/tcp/1/p2p/" + two + "/p2p-circuit": false,
	} {
		k, h := keeperOf(t)
		n := &neighbours{keeper: k, seen: make(map[peer.ID]struct{})}
		n.HandlePeerFound(peer.AddrInfo{ID: h.ID(), Addrs: []multiaddr.Multiaddr{multiaddr.StringCast(said)}})
		known, _ := k.core.Book().Len()
		require.Zero(t, known, "%s, and it is ourselves", said)
		n.HandlePeerFound(peer.AddrInfo{ID: peerID(t, one), Addrs: []multiaddr.Multiaddr{multiaddr.StringCast(said)}})
		known, _ = k.core.Book().Len()
		require.Equal(t, taken, known == 1, said)
	}
}

// at is an address as the book has it.
func at(t *testing.T, p peer.ID, text string) dial.Address {
	t.Helper()
	a, ok := addressOf(p, multiaddr.StringCast(text))
	require.True(t, ok)
	return a
}

// deadDial is how long it takes until a dial of nobody fails.
const deadDial = 5 * time.Second

// goThrough lets k dial for so long from a time on, while nobody answers but who is listed, and
// returns when each address was dialled, and the most that were at one time.
func goThrough(k *dial.Keeper, from time.Time, long time.Duration, up ...dial.Address) (dials map[dial.Address][]time.Duration, atOnce int) {
	dials = make(map[dial.Address][]time.Duration)
	waiting := make(map[dial.Address]time.Time)
	for now := from; now.Before(from.Add(long)); now = now.Add(dialTick) {
		for a, since := range waiting {
			if slices.Contains(up, a) {
				k.Connected(now, a)
			} else if now.Sub(since) >= deadDial {
				k.Failed(now, a)
			} else {
				continue
			}
			delete(waiting, a)
		}
		for _, d := range k.Tick(now, nil) {
			waiting[d.Address] = now
			dials[d.Address] = append(dials[d.Address], now.Sub(from))
		}
		atOnce = max(atOnce, len(waiting))
	}
	return dials, atOnce
}

// A false address costs a dial that fails, and a longer pause each time; all of them together,
// no more dials at a time than any book of dead addresses.
func TestD10FalseLocalAddressesAreDialledRarely(t *testing.T) {
	k, _ := keeperOf(t)
	n := &neighbours{keeper: k, seen: make(map[peer.ID]struct{})}
	for i := range maxLocal {
		n.HandlePeerFound(peer.AddrInfo{ID: invent(i), Addrs: poisoned()})
	}
	cfg := dial.DefaultConfig()
	const long = 30 * time.Minute
	dials, atOnce := goThrough(k.core, time.Now(), long)
	require.LessOrEqual(t, atOnce, cfg.AtOnce*int(deadDial/cfg.Drags))
	require.NotEmpty(t, dials)
	for a, times := range dials {
		pause := cfg.BackoffMin * 3 / 4 // a quarter less at the least
		for i := range times[1:] {
			require.GreaterOrEqual(t, times[i+1]-times[i], deadDial+pause, "dial %d of %v", i+1, a)
			pause *= 2
		}
	}
}

// What is said in the local network of a peer that we know from elsewhere takes nothing from
// what we know: not from one that we are linked to, nor from one that answered once, nor
// from an anchor, nor from a bootstrap peer.
func TestD10LocalWordOverridesNothing(t *testing.T) {
	k, _ := keeperOf(t)
	n := &neighbours{keeper: k, seen: make(map[peer.ID]struct{})}
	linked, anchor, answered, seed := at(t, invent(0), "/ip4/20.1.1.1/tcp/7410"), at(t, invent(1), "/ip4/21.1.1.1/tcp/7410"),
		at(t, invent(2), "/ip4/22.1.1.1/tcp/7410"), at(t, invent(3), "/ip4/23.1.1.1/tcp/7410")
	lived := time.Now().Add(-2 * time.Hour)
	for i, a := range []dial.Address{anchor, answered, linked} {
		k.core.Found(lived, a)
		now := lived.Add(time.Duration(i) * time.Minute)
		require.Equal(t, []dial.Dial{{Address: a, Why: dial.Outbound}}, k.core.Tick(now, nil))
		require.True(t, k.core.Connected(now, a))
	}
	k.core.Gone(lived.Add(time.Hour), anchor.Peer)
	k.core.Gone(lived.Add(time.Minute+30*time.Second), answered.Peer)
	k.core.Seeds([]dial.Address{seed})
	require.Contains(t, k.core.Anchors(), anchor)
	fresh, tried := k.core.Book().Len()
	require.Equal(t, [2]int{0, 3}, [2]int{fresh, tried})

	for range 2 {
		for i := range maxLocal {
			n.HandlePeerFound(peer.AddrInfo{ID: invent(i), Addrs: poisoned()})
		}
	}
	_, tried = k.core.Book().Len()
	require.Equal(t, 3, tried, "who answered has its place")
	require.Contains(t, k.core.Anchors(), anchor)
	require.Equal(t, dial.Outbound, k.core.Why(linked.Peer))
	book := k.core.AppendTo(time.Now(), nil)
	dials, _ := goThrough(k.core, time.Now(), 10*time.Minute)
	for a := range dials {
		require.NotEqual(t, linked.Peer, a.Peer, "it is linked")
	}
	require.Contains(t, dials, answered)
	require.Contains(t, dials, anchor)

	// A dial of the bootstrap peer at a false address may be under way when its turn comes.
	inTime := dial.DefaultConfig().BootstrapAfter + deadDial + 2*time.Second

	// After a restart, with a book that is false but for these: the anchor is dialled first, the
	// bootstrap peer in time, and what is true is in the book.
	again := func() *dial.Keeper {
		k, err := dial.Restore(dial.DefaultConfig(), book, []dial.Address{seed}, rand.New(rand.NewPCG(1, 1)))
		require.NoError(t, err)
		return k
	}
	first := again().Tick(time.Now(), nil)
	require.Equal(t, []dial.Dial{{Address: linked, Why: dial.Anchor}, {Address: anchor, Why: dial.Anchor}}, first[:2], "both are anchors now")
	dials, _ = goThrough(again(), time.Now(), 10*time.Minute)
	require.Less(t, dials[seed][0], inTime)
	require.Contains(t, dials, answered)

	// So is it for a node that knew nobody but the bootstrap peer.
	k, _ = keeperOf(t)
	k.core.Seeds([]dial.Address{seed})
	n = &neighbours{keeper: k, seen: make(map[peer.ID]struct{})}
	for i := range maxLocal {
		n.HandlePeerFound(peer.AddrInfo{ID: invent(i), Addrs: poisoned()})
	}
	dials, _ = goThrough(k.core, time.Now(), time.Minute, seed)
	require.Less(t, dials[seed][0], inTime)
	require.Equal(t, dial.Bootstrap, k.core.Why(seed.Peer))
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
		"multicast DNS": func(k *keeper, who peer.ID) *keeper {
			n := &neighbours{keeper: k, seen: make(map[peer.ID]struct{})}
			n.HandlePeerFound(peer.AddrInfo{ID: who, Addrs: []multiaddr.Multiaddr{at}})
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
