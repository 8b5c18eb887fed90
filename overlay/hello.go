package overlay

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// helloRetry is between two attempts on one connection: the other side may still
	// be registering its handlers.
	helloRetry = 500 * time.Millisecond
	// helloFarewell is how long the answering side waits for the dialler to have read
	// its answer, before it acts on it.
	helloFarewell = 2 * time.Second
	// skewWorthSaying is the difference of clocks that an operator should know of.
	skewWorthSaying = 5 * time.Second
)

// greeter says hello on every connection and decides who is welcome. Until it has
// decided, nothing of a peer reaches pubsub or a request protocol.
type greeter struct {
	cfg    Config // constant
	host   host.Host
	id     wire.NetworkID
	roster *roster
	court  *court
	desk   *desk
	log    *slog.Logger
	joined func(m *member) // a peer was greeted
	left   func(m member)  // a peer's last connection is closed
	crew   *crew
	back   *returns
	ctx    context.Context //nolint:containedctx // that of Run: libp2p's notifications have none
}

// meet takes note of a connected peer, and starts to greet a new one.
func (g *greeter) meet(p peer.ID) *member {
	m, fresh, left := g.roster.join(p)
	if left != nil {
		g.left(*left)
	}
	if fresh {
		if m.returned {
			g.back.note(time.Now())
		}
		g.crew.spawn(func() { g.greet(m) })
	}
	return m
}

// learn is called when more may be known of a peer's protocols.
func (g *greeter) learn(p peer.ID) {
	m := g.meet(p)
	if m == nil {
		return
	}
	select {
	case m.poke <- struct{}{}:
	default:
	}
	if g.roster.standing(p) == guest && g.speaksHello(p) {
		g.crew.spawn(func() { g.sayAgain(m) })
	}
}

// greet leads a new peer to its standing.
func (g *greeter) greet(m *member) {
	if g.court.isBanned(m.id) {
		g.refuse(m, "it is banned", "")
		return
	}
	ctx, cancel := context.WithTimeout(g.ctx, g.cfg.Limits.HelloTimeout)
	defer cancel()
	retry := time.NewTimer(0) // what is known already may do
	defer retry.Stop()
	for {
		select {
		case <-m.settled:
			return
		case <-m.gone:
			return
		case <-m.poke:
		case <-retry.C:
		case <-ctx.Done():
			if g.ctx.Err() == nil {
				g.expire(m)
			}
			return
		}
		switch {
		// Who connected anew may think that it was here all the time, and wait for nothing.
		case g.speaksHello(m.id):
			if (m.anew || g.dialled(m.id)) && g.say(ctx, m) != nil {
				retry.Reset(helloRetry)
			}
		case g.gossips(m.id):
			g.welcomeGuest(m)
		}
	}
}

// expire ends the wait for a hello. Who speaks it had its time; who does not is a guest.
func (g *greeter) expire(m *member) {
	if g.speaksHello(m.id) {
		g.refuse(m, fmt.Sprintf("it said no hello within %v", g.cfg.Limits.HelloTimeout), "")
		return
	}
	g.welcomeGuest(m)
}

// sayAgain greets a guest that turns out to speak hello: its node had not finished
// starting when it connected.
func (g *greeter) sayAgain(m *member) {
	if !g.dialled(m.id) {
		return // the other side says it
	}
	ctx, cancel := context.WithTimeout(g.ctx, g.cfg.Limits.HelloTimeout)
	defer cancel()
	if err := g.say(ctx, m); err != nil {
		g.log.Debug("late hello failed", "peer", m.id, "err", err)
	}
}

// say is the dialler's part.
func (g *greeter) say(ctx context.Context, m *member) (err error) {
	x, done, err := g.desk.ask(ctx, m.id, HelloProtocol, g.cfg.Limits.HelloTimeout)
	if err != nil {
		return err
	}
	defer func() { done(err) }()
	// The stream's protocol may be negotiated with the first write, so the time until
	// the answer can be more than one round trip; it is never less.
	sent := time.Now()
	if err := x.write(g.ours().AppendTo(nil)); err != nil {
		return fmt.Errorf("overlay: say hello: %w", err)
	}
	theirs, err := g.read(x)
	if err != nil {
		return err
	}
	rtt := time.Since(sent)
	_ = x.CloseWrite() // tells the other side that its answer was read
	g.weigh(m, theirs, rtt)
	return nil
}

// answer is the other side's part.
func (g *greeter) answer(_ context.Context, x *exchange) error {
	m := g.meet(x.peer())
	if m == nil {
		return errGone
	}
	theirs, err := g.read(x)
	if err != nil {
		return err
	}
	if err := x.write(g.ours().AppendTo(nil)); err != nil {
		return fmt.Errorf("overlay: answer hello: %w", err)
	}
	_ = x.SetReadDeadline(time.Now().Add(helloFarewell))
	_, _ = x.in.ReadByte() // says nothing of the way: a dialler may end its side before our answer comes
	g.weigh(m, theirs, 0)
	if g.roster.standing(m.id) == greeted {
		g.crew.spawn(func() { g.measure(m.id) })
	}
	return nil
}

// measure finds out how far away a peer is that dialled us, unless that is known.
func (g *greeter) measure(p peer.ID) {
	first := false
	g.roster.update(p, func(m *member) { first, m.measured = m.rtt == 0 && !m.measured, true })
	if !first {
		return
	}
	took, err := pinged(g.ctx, g.host, p)
	if err != nil {
		g.log.Debug("a peer's distance is not known", "peer", p, "err", err)
		return
	}
	g.roster.update(p, func(m *member) { m.rtt = took })
}

func (g *greeter) read(x *exchange) (*wire.Hello, error) {
	b, err := x.read(wire.MaxHello)
	if err != nil {
		return nil, fmt.Errorf("overlay: read hello: %w", err)
	}
	h, err := wire.DecodeHello(b)
	if err != nil {
		return nil, fmt.Errorf("overlay: read hello: %w: %w", FrameGarbage, err)
	}
	return h, nil
}

func (g *greeter) ours() *wire.Hello {
	head := g.cfg.Chain.Head()
	return &wire.Hello{
		Network: g.id, NetworkName: g.cfg.Genesis.Network, Protocol: ProtocolVersion, Agent: g.cfg.Agent,
		Head: head.ID, Height: head.Height, Clock: uint64(max(0, g.cfg.Now().UnixMilli())), Services: ServiceFrames,
	}
}

// weigh decides on a peer by its hello.
func (g *greeter) weigh(m *member, h *wire.Hello, rtt time.Duration) {
	switch {
	case h.Network != g.id:
		g.refuse(m, fmt.Sprintf("it is on network %q (%s), this node on %q (%s)",
			h.NetworkName, h.Network.Short(), g.cfg.Genesis.Network, g.id.Short()),
			"start both nodes with the same genesis.json, or take the address out of the bootstrap list")
		return
	case h.Protocol < minProtocolVersion:
		g.refuse(m, fmt.Sprintf("it speaks hello of version %d, this node needs %d or newer", h.Protocol, minProtocolVersion),
			"update the other node")
		return
	case h.Protocol > ProtocolVersion:
		g.log.Info("peer speaks a newer protocol version; what both know is used, consider an update of this node",
			"peer", m.id, "theirs", h.Protocol, "ours", ProtocolVersion)
	}
	skew := time.UnixMilli(int64(min(h.Clock, maxMillis))).Sub(g.cfg.Now())
	if skew.Abs() > skewWorthSaying {
		g.log.Warn("a peer's clock differs from ours; check this node's time", "peer", m.id, "skew", skew)
	}
	if g.roster.greet(m, h, rtt) {
		g.log.Debug("peer joined", "peer", m.id, "agent", h.Agent, "height", h.Height, "rtt", rtt)
		call(g.cfg.Hooks.PeerJoined, g.roster.info(m))
	}
	g.joined(m)
}

// maxMillis keeps a peer's clock within what time.Time can subtract.
const maxMillis = 1 << 43

// refuse sends a peer away and remembers it for a while.
func (g *greeter) refuse(m *member, why, remedy string) {
	g.roster.update(m.id, func(m *member) { m.why = why })
	_, again := g.roster.barredUntil(m.id)
	g.roster.bar(m.id)
	if !g.roster.settle(m, refused) {
		return
	}
	if !again { // a peer that keeps coming must not fill the log
		args := []any{"peer", m.id, "why", why}
		if remedy != "" {
			args = append(args, "remedy", remedy)
		}
		g.log.Warn("peer refused", args...)
	}
	call2(g.cfg.Hooks.HelloRefused, m.id, why)
	_ = g.host.Network().ClosePeer(m.id)
}

// speaksHello says whether the peer has told us so by identify.
func (g *greeter) speaksHello(p peer.ID) bool {
	got, err := g.host.Peerstore().SupportsProtocols(p, HelloProtocol)
	return err == nil && len(got) > 0
}

func (g *greeter) gossips(p peer.ID) bool {
	got, err := g.host.Peerstore().SupportsProtocols(p, txProtocols...)
	return err == nil && len(got) > 0
}

// dialled says whether we opened one of the connections to the peer, and so have to
// open hello.
func (g *greeter) dialled(p peer.ID) bool {
	return slices.ContainsFunc(g.host.Network().ConnsToPeer(p), func(c network.Conn) bool {
		return c.Stat().Direction == network.DirOutbound
	})
}
