package attack

import (
	"bufio"
	"context"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
	"github.com/grapevine-p2p/grapevine/wire"
)

// parts is how rules about the bodies of blocks take part in compact/1: they say in hello
// that they do, take frames, and send what they like. Rules embed it.
type parts struct {
	ctx context.Context //nolint:containedctx // that of serve: streams are opened as there is something to say
	h   host.Host

	out map[peer.ID]*line // owned by the node's goroutine
}

// onFrame is a rule that answers frames in its own way.
type onFrame interface {
	frame(n *node, from peer.ID, f compact.Frame)
}

func (*parts) boast(h *wire.Hello, _ uint64) { h.Services |= overlay.ServiceFrames }

func (p *parts) serve(ctx context.Context, n *node, h host.Host) {
	p.ctx, p.h, p.out = ctx, h, make(map[peer.ID]*line)
	h.SetStreamHandler(overlay.CompactProtocol(n.network), func(s network.Stream) { p.listen(ctx, n, s) })
}

// listen takes the frames of a peer. A request for a whole block is left without an answer
// for as long as anybody may wait for one.
func (p *parts) listen(ctx context.Context, n *node, s network.Stream) {
	defer s.Reset() //nolint:errcheck // it is over either way
	defer context.AfterFunc(ctx, func() { _ = s.Reset() })()
	in := bufio.NewReader(s)
	for {
		b, err := readFrame(in)
		if err != nil {
			return
		}
		if !compact.IsFrame(b) {
			sim.Sleep(ctx, lieFor)
			return
		}
		f, err := compact.Decode(b)
		if err != nil || f == nil {
			return
		}
		if !n.post(ctx, event{do: func() { p.take(n, s.Conn().RemotePeer(), f) }}) {
			return
		}
	}
}

// take answers a frame by the rule in force. Who is not to break a rule yet has nothing of
// any block, and says so.
func (p *parts) take(n *node, from peer.ID, f compact.Frame) {
	if r, ok := n.rule.(onFrame); ok && n.attacking() {
		r.frame(n, from, f)
		return
	}
	if ask, ok := f.(*compact.Ask); ok {
		p.send(n, from, &compact.Fill{Block: ask.Block, ID: ask.ID})
	}
}

// send sends frames to a peer on a stream of our own. Only the node's goroutine calls it.
func (p *parts) send(n *node, to peer.ID, frames ...compact.Frame) {
	l := p.out[to]
	if l == nil {
		l = newLine(to, 0)
		p.out[to] = l
		n.group.Go(func() { p.write(n, l) })
	}
	for _, f := range frames {
		l.raw(f.AppendTo(nil))
	}
}

// write opens a stream and writes to it until it ends; what is sent later opens another.
func (p *parts) write(n *node, l *line) {
	s, err := p.h.NewStream(network.WithNoDial(p.ctx, "attackers talk to connected peers"), l.peer, overlay.CompactProtocol(n.network))
	if err == nil {
		_ = l.write(p.ctx, s)
	}
	n.post(p.ctx, event{do: func() { delete(p.out, l.peer) }})
}

// tell sends frames to every peer on the topic of blocks.
func (p *parts) tell(n *node, frames ...compact.Frame) {
	for _, l := range n.audience(overlay.BlockTopic(n.network)) {
		p.send(n, l.peer, frames...)
	}
}

// blockIn is the block that a message announces, nil if it announces none.
func blockIn(n *node, m *message) *wire.CompactBlock {
	if m.carried.GetTopic() != overlay.BlockTopic(n.network) || wire.IsEvidence(m.carried.GetData()) {
		return nil
	}
	c, err := wire.DecodeCompactBlock(m.carried.GetData())
	if err != nil {
		return nil
	}
	return c
}
