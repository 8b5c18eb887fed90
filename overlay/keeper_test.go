package overlay_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/overlay/dial"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

// choosing has a node choose its peers, among those of one machine.
func choosing(outbound int, change ...func(*overlay.Dial)) option {
	return func(c *overlay.Config) {
		c.Dial = overlay.DefaultDial()
		c.Dial.Outbound, c.Dial.AnchorSlots, c.Dial.PerGroup = outbound, min(outbound, 4), max(outbound, 1)
		c.Dial.AllowPrivate = true
		c.Dial.BackoffMin = 500 * time.Millisecond
		for _, f := range change {
			f(&c.Dial)
		}
	}
}

// bookAddr is a host's address as a book has it.
func bookAddr(t *testing.T, h host.Host) dial.Address {
	t.Helper()
	at := h.Addrs()[0]
	ip, err := at.ValueForProtocol(multiaddr.P_IP4)
	require.NoError(t, err)
	a := dial.Address{Peer: peerscore.PeerID(h.ID()), Over: dial.TCP}
	port, err := at.ValueForProtocol(multiaddr.P_TCP)
	if err != nil {
		a.Over = dial.QUIC
		port, err = at.ValueForProtocol(multiaddr.P_UDP)
		require.NoError(t, err)
	}
	a.At = netip.MustParseAddrPort(ip + ":" + port)
	return a
}

// savedBook is that of a node to which the peers were linked for an hour.
func savedBook(t *testing.T, hosts ...host.Host) []byte {
	t.Helper()
	c := overlay.DefaultConfig()
	choosing(len(hosts))(&c)
	k, err := dial.New(c.Dial.Config, dial.Key{1}, nil, rand.New(rand.NewPCG(1, 1)))
	require.NoError(t, err)
	now := time.Now().Add(-2 * time.Hour)
	for _, h := range hosts {
		k.Found(now, bookAddr(t, h))
	}
	for k.Outbound() < len(hosts) {
		for _, d := range k.Tick(now, nil) {
			require.True(t, k.Connected(now, d.Address))
		}
	}
	return k.AppendTo(now.Add(time.Hour), nil)
}

// R78: after a restart a node finds its peers by its own book, though no bootstrap peer is
// there any more; who served longest is dialled first.
func TestRestartWithoutBootstrapPeers(t *testing.T) {
	g, c := testGenesis("restart"), newClock()
	a, b := start(t, g, c), start(t, g, c)
	dead := peer.AddrInfo{ID: newID(t), Addrs: []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/127.0.0.1/tcp/9")}}
	saved := savedBook(t, a.host, b.host)
	back := start(t, g, c, choosing(4, func(d *overlay.Dial) { d.Saved = saved }), func(c *overlay.Config) {
		c.Bootstrap = []peer.AddrInfo{dead}
	})
	eventually(t, func() bool { return back.knows(a.host.ID()) && back.knows(b.host.ID()) }, "both are found")
	require.Equal(t, "anchor", back.peer(a.host.ID()).Why)
	require.Equal(t, network.DirOutbound, back.peer(a.host.ID()).Direction)
	require.Equal(t, "127.0.0.0/16", back.peer(a.host.ID()).Network)
	require.Empty(t, a.peer(back.host.ID()).Why, "it was dialled")
	eventually(t, func() bool { return back.Book().Outbound == 2 }, "both are kept")

	// What it saves leads the next life there, too.
	again := start(t, g, c, choosing(4, func(d *overlay.Dial) { d.Saved = back.SaveBook() }))
	eventually(t, func() bool { return again.knows(a.host.ID()) && again.knows(b.host.ID()) }, "and again")
}

func TestADamagedBookIsAnErrorWithAName(t *testing.T) {
	g, c := testGenesis("damaged"), newClock()
	cfg := overlay.DefaultConfig()
	ch := newChain(t, g, c)
	n := start(t, g, c)
	cfg.Host, cfg.Genesis, cfg.Checker, cfg.Chain, cfg.Pool = newHost(t), g, n.checker, ch, ch
	cfg.Dial.Saved = n.SaveBook()
	cfg.Dial.Saved[20] ^= 1
	_, err := overlay.New(cfg)
	require.ErrorIs(t, err, dial.Checksum)
}

// Bootstrap peers are a way in, not a topology: they are dialled when nobody else is there,
// and count as links like others.
func TestBootstrapPeersAreSeeds(t *testing.T) {
	g, c := testGenesis("seeds"), newClock()
	boot, other := start(t, g, c), start(t, g, c)
	n := start(t, g, c, choosing(1, func(d *overlay.Dial) { d.Keep = []peer.AddrInfo{other.addr()} }), bootstrap(boot))
	eventually(t, func() bool { return n.knows(boot.host.ID()) && n.knows(other.host.ID()) }, "a way in")
	require.Equal(t, "bootstrap", n.peer(boot.host.ID()).Why)
	require.Equal(t, "kept", n.peer(other.host.ID()).Why)
	eventually(t, func() bool { return n.Book().Outbound == 1 }, "the peer to keep needs no slot")
	third := start(t, g, c)
	n.join(third)
	require.Equal(t, "operator", n.peer(third.host.ID()).Why)

	other.stop() // its host lives on
	require.NoError(t, n.host.Network().ClosePeer(other.host.ID()))
	eventually(t, func() bool { return n.host.Network().Connectedness(other.host.ID()) == network.Connected }, "kept")
}

// A peer of another network, and one that is no peer of ours at all, keep no link and lose
// their place in the book.
func TestStrangersAreNoLinks(t *testing.T) {
	g, c := testGenesis("ours"), newClock()
	foreign := start(t, testGenesis("theirs"), c)
	bare := newHost(t)
	n := start(t, g, c, choosing(4, func(d *overlay.Dial) {
		d.Saved = savedBook(t, foreign.host, bare)
	}), func(c *overlay.Config) { c.Limits.HelloTimeout = time.Second })
	eventually(t, func() bool { return n.log.has("peer refused") }, "dialled and refused")
	eventually(t, func() bool { return n.log.has("guest") }, "the other is a guest at most")
	eventually(t, func() bool { return len(n.host.Network().Peers()) == 0 }, "no connection stays")
	require.Zero(t, n.Book().Outbound)
}

// R79: who was there first stays, however many come that say hello, and whatever the shell's
// clock does meanwhile: it stands still here.
func TestACrowdDoesNotPushOutTheOldest(t *testing.T) {
	g, c := testGenesis("crowd of newcomers"), newClock()
	const slots, crowd = 24, 24
	n := start(t, g, c, func(c *overlay.Config) { c.Dial.Inbound = slots })
	var oldest []host.Host // as many as are protected by age alone, when four groups and eight latencies are
	for range (slots - 4 - 8) / 2 {
		oldest = append(oldest, greetedHost(t, n))
	}
	for range slots - len(oldest) + crowd {
		h := newHost(t)
		greet(t, h, n)
		eventually(t, func() bool { return len(n.host.Network().Peers()) <= slots }, "within the slots")
	}
	require.GreaterOrEqual(t, n.Book().Evicted, uint64(crowd))
	for i, h := range oldest {
		require.True(t, n.knows(h.ID()), "peer %d was sent away", i)
	}
}

// R79: whoever fills the inbound slots makes room for others, and first of all those that
// have not said hello: connections cost an attacker nothing.
func TestD8FloodDoesNotPushOutPeers(t *testing.T) {
	g, c := testGenesis("flood of connections"), newClock()
	const slots = 4
	n := start(t, g, c, func(c *overlay.Config) { c.Dial.Inbound = slots })
	var honest []*node
	for range slots - 1 {
		o := start(t, g, c)
		o.join(n)
		honest = append(honest, o)
	}
	var left atomic.Int32
	n.host.Network().Notify(&network.NotifyBundle{DisconnectedF: func(_ network.Network, c network.Conn) {
		if slices.ContainsFunc(honest, func(o *node) bool { return o.host.ID() == c.RemotePeer() }) {
			left.Add(1)
		}
	}})
	for range 20 {
		h := newHost(t)
		require.NoError(t, h.Connect(t.Context(), n.addr()))
		eventually(t, func() bool { return len(n.host.Network().Peers()) <= slots }, "within the slots")
	}
	require.Zero(t, left.Load())
	require.GreaterOrEqual(t, n.Book().Evicted, uint64(19))

	// Whoever says hello gets in.
	late := start(t, g, c)
	late.join(n)
	for _, o := range honest {
		require.True(t, n.knows(o.host.ID()))
	}
	// Now all of them are protected, and a newcomer is sent away.
	h := newHost(t)
	if err := h.Connect(t.Context(), n.addr()); err == nil {
		eventually(t, func() bool { return len(h.Network().Peers()) == 0 }, "sent away")
	}
	require.True(t, n.knows(late.host.ID()))
	require.Zero(t, left.Load())
}

// A peer has the connections that it needs, and not as many as it can open. The latest
// stay: the others may be of a process that died.
func TestConnectionsOfOnePeerAreBounded(t *testing.T) {
	g, c := testGenesis("many connections"), newClock()
	n := start(t, g, c)
	identity, err := crypto.UnmarshalEd25519PrivateKey(key("many"))
	require.NoError(t, err)
	var last host.Host
	for range 6 {
		last, err = libp2p.New(libp2p.Identity(identity), libp2p.NoListenAddrs, libp2p.DisableRelay(), libp2p.DisableMetrics())
		require.NoError(t, err)
		t.Cleanup(func() { _ = last.Close() })
		require.NoError(t, last.Connect(t.Context(), n.addr()))
	}
	eventually(t, func() bool { return len(n.host.Network().ConnsToPeer(last.ID())) <= 2 }, "two at most")
	require.Equal(t, network.Connected, last.Network().Connectedness(n.host.ID()))
}

// names answers for the domain name system.
type names map[string][]string

func (r names) ResolveDNSAddr(_ context.Context, _ peer.ID, a multiaddr.Multiaddr, _, limit int) (out []multiaddr.Multiaddr, err error) {
	for _, text := range r[a.String()] {
		out = append(out, multiaddr.StringCast(text))
	}
	if len(out) == 0 {
		return nil, errors.New("no such name")
	}
	return out[:min(limit, len(out))], nil
}

func (r names) ResolveDNSComponent(ctx context.Context, a multiaddr.Multiaddr, limit int) ([]multiaddr.Multiaddr, error) {
	return r.ResolveDNSAddr(ctx, "", a, 0, limit)
}

// A name that stands for bootstrap peers is followed, and one that leads nowhere hurts
// nobody.
func TestBootstrapNames(t *testing.T) {
	g, c := testGenesis("names"), newClock()
	boot := start(t, g, c)
	full, err := peer.AddrInfoToP2pAddrs(new(boot.addr()))
	require.NoError(t, err)
	name := "/dns4/boot.example/tcp/1/p2p/" + boot.host.ID().String()
	resolver := names{
		"/dnsaddr/boot.example": {name},
		name:                    {full[0].String()},
	}
	n := start(t, g, c, choosing(2, func(d *overlay.Dial) {
		d.Resolver = resolver
		d.Names = []multiaddr.Multiaddr{multiaddr.StringCast("/dnsaddr/gone.example"), multiaddr.StringCast("/dnsaddr/boot.example")}
	}))
	eventually(t, func() bool { return n.knows(boot.host.ID()) }, "found by its name")

	// On a public network a name must not lead into a private one.
	wary := start(t, g, c, choosing(2, func(d *overlay.Dial) {
		d.Resolver, d.Names, d.AllowPrivate = resolver, []multiaddr.Multiaddr{multiaddr.StringCast("/dnsaddr/boot.example")}, false
	}))
	eventually(t, func() bool { return wary.log.has("no bootstrap name resolves") }, "refused")
	require.Empty(t, wary.Peers())
}

func TestDialSettingsAreRefusedWithEveryReason(t *testing.T) {
	require.NoError(t, overlay.DefaultDial().Validate())
	d := overlay.DefaultDial()
	d.Outbound, d.Inbound, d.AtOnce = 0, 0, 0
	d.Keep = make([]peer.AddrInfo, 2000)
	d.Names = make([]multiaddr.Multiaddr, dial.MaxSeeds+1)
	err := d.Validate()
	for _, name := range []string{"Inbound is 0", "AtOnce", "Keep has 2000", "Names has 65", "Outbound above 0"} {
		require.ErrorContains(t, err, name)
	}
}

// Whatever is under way when the node stops, nothing stays behind.
func TestTheKeeperLeavesNothingBehind(t *testing.T) {
	g, c := testGenesis("keeper leak"), newClock()
	before := goleak.IgnoreCurrent()
	ha, hb := newHost(t), newHost(t)
	silent := newHost(t) // accepts, and says no hello
	a := startOn(t, ha, newChain(t, g, c))
	n := startOn(t, hb, newChain(t, g, c), choosing(4, func(d *overlay.Dial) {
		d.Saved = savedBook(t, ha, silent)
		d.Names = []multiaddr.Multiaddr{multiaddr.StringCast("/dnsaddr/gone.example")}
		d.Resolver = names{}
	}), func(c *overlay.Config) {
		c.Bootstrap = []peer.AddrInfo{{ID: newID(t), Addrs: []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/127.0.0.1/tcp/9")}}}
	})
	eventually(t, func() bool { return n.knows(ha.ID()) }, "connected")
	n.stop()
	a.stop()
	eventually(t, func() bool { return len(ours()) == 0 }, "every goroutine ends")
	for _, h := range []host.Host{ha, hb, silent} {
		require.NoError(t, h.Close())
	}
	goleak.VerifyNone(t, before)
}

// R78: nodes that know one bootstrap peer find the others, as many as they want links, and keep
// them when it is gone.
func TestNodesFindEachOther(t *testing.T) {
	g, c := testGenesis("find each other"), newClock()
	roomy := func(c *overlay.Config) { c.Swim.MaxPerGroup = c.Swim.MaxMembers }
	boot := start(t, g, c, roomy)
	var nodes []*node
	for range 16 { // so many that nobody is dialled by all it knows, and left with none to dial
		nodes = append(nodes, start(t, g, c, choosing(2), bootstrap(boot), roomy))
	}
	linked := func() bool {
		return !slices.ContainsFunc(nodes, func(n *node) bool { return n.Book().Outbound < 2 })
	}
	eventually(t, linked, "two links each")
	boot.stop()
	require.NoError(t, boot.host.Close())
	eventually(t, func() bool {
		return linked() && !slices.ContainsFunc(nodes, func(n *node) bool { return n.knows(boot.host.ID()) })
	}, "without the bootstrap peer, too")
}
