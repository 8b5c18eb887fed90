package overlay

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// inflow is what stands between the streams of peers and one gossip instance.
type inflow struct {
	topic     string
	frame     int // bytes of one RPC
	sluice    *sluice
	outflow   *outflow
	inspect   *inspector
	sentry    *sentry                                      // nil: holds nothing back
	inventory *inventory                                   // nil: leaves nothing out
	shed      func(from peerscore.PeerID, n int, why Shed) // may be nil
	bytes     func(*budget) *rate.Limiter
	units     func(*budget) *admission
	paced     *rate.Limiter // bytes that are no messages, of all peers beyond what each has for itself
	// coming is told of the first bytes of a frame, frameHead at most, as soon as they have come;
	// it returns what is to be called when all have. It may be nil.
	coming func(from peer.ID, head []byte) (done func())
	// write writes an RPC to a peer when its turn on our uplink has come.
	write func(ctx context.Context, s network.Stream, p peer.ID, rpc []byte) (int, error)
}

// controlInAll is what the peers of one instance share, in bytes that are no messages.
func controlInAll(l Limits) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(l.ControlInAllPerSecond), l.ControlInAllBurst)
}

// bounded is the host that one gossip instance sees.
func (o *Overlay) bounded(ctx context.Context, in inflow) *boundedHost {
	return newBoundedHost(o.host, gate{
		written:   in.outflow.written,
		sentry:    in.sentry,
		inventory: in.inventory,
		write:     func(s network.Stream, p peer.ID, rpc []byte) (int, error) { return in.write(ctx, s, p, rpc) },
		admit: func(ctx context.Context, p peer.ID) error {
			o.greeter.meet(p)
			return o.roster.admit(ctx, p)
		},
		accept: func(s network.Stream) (network.Stream, func(), bool) {
			m := o.greeter.meet(s.Conn().RemotePeer())
			if m == nil {
				return nil, nil, false
			}
			if err := o.streams.take(time.Now(), s.Conn()); err != nil {
				o.court.judge(m.id, err)
				return nil, nil, false
			}
			return o.accept(ctx, in, s, m)
		},
	})
}

// accept takes a gossip stream into its bounds and begins to read it.
func (o *Overlay) accept(ctx context.Context, in inflow, s network.Stream, m *member) (network.Stream, func(), bool) {
	l := o.cfg.Limits
	in.units(m.budget).begin(s.Conn().ID())
	ctx, cancel := context.WithCancel(ctx)
	bounds := streamBounds{
		frame: in.frame, firstFrame: l.FirstFrame, frameTime: l.FrameTime,
		scan: scanLimits{
			Subscriptions: l.Subscriptions, Messages: l.MessagesPerRPC, Controls: l.ControlsPerRPC,
			IDs: l.IDsPerRPC, Unknown: l.UnknownPerRPC, Name: l.TopicName,
		},
	}
	bounded := newBoundedStream(ctx, s, bounds, in.bytes(m.budget),
		func(ctx context.Context) error { return o.roster.admit(ctx, m.id) },
		func(err error) { o.refuseFrame(m, err) },
	)
	if in.coming != nil {
		bounded.coming = func(head []byte) (done func()) { return in.coming(m.id, head) }
	}
	stream := newQueuedStream(bounded, m.id, in.topic, in.sluice, in.outflow, func(rest elements, named *names, messages []parcel) ruling {
		return o.admitRPC(in, m, rest, named, messages)
	})
	stream.paced = in.paced
	in.inspect.attach(stream)
	done := func() {
		cancel()
		in.inspect.detach(stream)
		in.sluice.leave(m.id)
	}
	if !o.crew.spawn(func() { stream.pump(ctx) }) {
		done()
		return nil, nil, false
	}
	return stream, done, true
}

// admitRPC holds one RPC against the budget of its sender.
func (o *Overlay) admitRPC(in inflow, m *member, rest elements, named *names, messages []parcel) ruling {
	now, units := time.Now(), in.units(m.budget)
	in.inspect.pulls.speaks(now)
	r := units.admit(now, rest, messages)
	r.paced = units.pace(now, named.bytes)
	if r.keep.ids > 0 && named.all > 0 {
		units.doubt(now, &r, rest.ids, in.inspect.pulls.examine(m.id, named))
	}
	if r.shed > 0 {
		call3(in.shed, peerscore.PeerID(m.id), r.shed, ShedBudget)
	}
	o.penalise(m, r.charges, r.cut)
	return r
}

// penalise does to a peer what its admission says of what it sent over its budget.
func (o *Overlay) penalise(m *member, charges int, cut bool) {
	for range charges {
		o.court.judge(m.id, TooManyMessages)
	}
	if cut {
		o.cutOff(m, whyOverBudget)
	}
}

// refuseFrame deals with the sender of a frame that broke a bound. One frame may be a
// client's fault; who sends several that only cost their receiver means it, and so does who
// fills one.
func (o *Overlay) refuseFrame(m *member, err error) {
	o.court.judge(m.id, err)
	again := errors.Is(err, FrameEmptyElement) || errors.Is(err, FrameTooMany)
	if errors.Is(err, FrameBomb) || again && !m.budget.bombs.Allow() {
		o.cutOff(m, whyBombs)
	}
}

// Reasons to cut a peer before its offences are a ban, for the book and for hooks.
const (
	whyOverBudget = "over_budget"
	whyBombs      = "element_bombs"
)

// cutOff disconnects a peer that breaks its budgets and keeps it out for a while.
func (o *Overlay) cutOff(m *member, why string) {
	if !o.court.isBanned(m.id) {
		o.court.ban(m.id, o.cfg.Limits.CutFor, why)
	}
}
