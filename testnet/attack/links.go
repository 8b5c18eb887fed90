package attack

import (
	"bufio"
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	helloTime = 5 * time.Second // for one hello

	// lookEvery is how often an attacker looks after its links.
	lookEvery = 250 * time.Millisecond

	// redial is how often a neighbour that is not connected is dialled. One that
	// banned us costs a handshake each time.
	redial = 3 * time.Second

	// redialFirst is the same for one that was not up yet.
	redialFirst = 300 * time.Millisecond
)

// look keeps us connected to our neighbours, and opens a line to each router of
// each connected peer, until ctx ends.
func (n *node) look(ctx context.Context, h host.Host) {
	greeted := make(map[network.Conn]bool)
	dialled := make(map[peer.ID]time.Time)
	met := make(map[peer.ID]bool)
	for {
		for _, near := range n.near {
			if h.Network().Connectedness(near.ID) == network.Connected {
				met[near.ID] = true
				continue
			}
			pause := redial
			if n.impatient && !met[near.ID] {
				pause = redialFirst
			}
			if time.Since(dialled[near.ID]) > pause {
				dialled[near.ID] = time.Now()
				n.connect(ctx, h, near)
			}
		}
		for _, p := range h.Network().Peers() {
			if n.accomplice(h, p) {
				continue
			}
			n.greet(ctx, h, p, greeted)
			for router, ids := range routers {
				// Who was dialled while it started may never say what it speaks.
				got, err := h.Peerstore().SupportsProtocols(p, ids...)
				if (n.impatient || err == nil && len(got) > 0) && n.begin(where{p, router}) {
					n.group.Go(func() { n.talk(ctx, h, where{p, router}) })
				}
			}
		}
		if !sim.Sleep(ctx, lookEvery) {
			return
		}
	}
}

func (n *node) connect(ctx context.Context, h host.Host, near peer.AddrInfo) {
	if s, ok := h.Network().(interface{ Backoff() *swarm.DialBackoff }); ok {
		s.Backoff().Clear(near.ID)
	}
	n.group.Go(func() { _ = h.Connect(ctx, near) }) // it may not be up yet, or have banned us
}

// accomplices is what attackers know each other by: what they would do to each
// other is no harm to anybody.
const accomplices = protocol.ID("/attack/1")

// accomplice says whether a peer is an attacker too, and notes that it is.
func (n *node) accomplice(h host.Host, p peer.ID) bool {
	got, err := h.Peerstore().SupportsProtocols(p, accomplices)
	if err != nil || len(got) == 0 {
		return false
	}
	n.begin(where{p, 0})
	return true
}

// talk opens a stream to a router and writes to it until it ends.
func (n *node) talk(ctx context.Context, h host.Host, w where) {
	l := n.lineTo(w)
	defer n.end(w, l)
	s, err := h.NewStream(network.WithNoDial(ctx, "attackers talk to connected peers"), w.peer, routers[w.router]...)
	if err == nil && n.post(ctx, event{line: l}) {
		_ = l.write(ctx, s)
	}
}

// greet says hello to a peer that we dialled, once a connection.
func (n *node) greet(ctx context.Context, h host.Host, p peer.ID, greeted map[network.Conn]bool) {
	if got, err := h.Peerstore().SupportsProtocols(p, overlay.HelloProtocol); err != nil || len(got) == 0 {
		return // a plain pubsub node, or identify is not done: then it speaks no gossip either
	}
	for _, c := range h.Network().ConnsToPeer(p) {
		if c.Stat().Direction == network.DirOutbound && !greeted[c] {
			greeted[c] = true
			n.group.Go(func() { n.sayHello(ctx, h, p) })
		}
	}
}

// hello is what we say of ourselves, to a peer whose chain is so high.
func (n *node) hello(theirs uint64) []byte {
	h := &wire.Hello{
		Network: n.network, NetworkName: n.seat.Genesis.Network, Protocol: overlay.ProtocolVersion, Agent: "attacker",
		Clock: uint64(time.Now().UnixMilli()),
	}
	if r, ok := n.rule.(boaster); ok {
		r.boast(h, theirs)
	}
	return h.AppendTo(nil)
}

func (n *node) sayHello(ctx context.Context, h host.Host, p peer.ID) {
	ctx, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	s, err := h.NewStream(network.WithNoDial(ctx, "attackers greet connected peers"), p, overlay.HelloProtocol)
	if err != nil {
		return
	}
	defer s.Close()
	_ = s.SetDeadline(time.Now().Add(helloTime))
	if writeFrame(s, n.hello(0)) == nil {
		_, _ = readFrame(bufio.NewReader(s))
	}
}

func (n *node) answerHello(h host.Host) {
	h.SetStreamHandler(overlay.HelloProtocol, func(s network.Stream) {
		defer s.Close()
		_ = s.SetDeadline(time.Now().Add(helloTime))
		b, err := readFrame(bufio.NewReader(s))
		if err != nil {
			return
		}
		if theirs, err := wire.DecodeHello(b); err == nil {
			_ = writeFrame(s, n.hello(theirs.Height))
		}
	})
}
