package overlay

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
)

// watch follows connections and what identify says of peers until ctx ends. Peers that
// were connected before it began are noticed too. ready is called once everything that
// happens from now on is seen.
func (o *Overlay) watch(ctx context.Context, ready func()) error {
	sub, err := o.host.EventBus().Subscribe([]any{
		new(event.EvtPeerIdentificationCompleted),
		new(event.EvtPeerProtocolsUpdated),
	}, eventbus.BufSize(512), eventbus.Name("grapevine overlay"))
	if err != nil {
		return fmt.Errorf("overlay: subscribe to host events: %w", err)
	}
	defer sub.Close()

	conns := &network.NotifyBundle{
		ConnectedF: func(_ network.Network, c network.Conn) {
			o.blocks.Load().twins.anew(c.RemotePeer())
			o.greeter.meet(c.RemotePeer())
			o.keeper.arrived(c)
		},
		DisconnectedF: func(_ network.Network, c network.Conn) {
			o.streams.forget(c)
			if m, left := o.roster.leave(c.RemotePeer()); left {
				o.left(m)
			}
		},
	}
	o.host.Network().Notify(conns)
	defer o.host.Network().StopNotify(conns)
	for _, p := range o.host.Network().Peers() {
		o.greeter.learn(p)
	}
	ready()

	for {
		select {
		case <-ctx.Done():
			return nil
		case ev, ok := <-sub.Out():
			if !ok {
				return nil // the host is closed
			}
			switch ev := ev.(type) {
			case event.EvtPeerIdentificationCompleted:
				o.greeter.learn(ev.Peer)
				o.keeper.identified(ev.Peer)
			case event.EvtPeerProtocolsUpdated:
				o.greeter.learn(ev.Peer)
			}
		}
	}
}

// left draws the conclusions from the end of a peer's last connection.
func (o *Overlay) left(m member) {
	o.keeper.gone(m.id)
	o.blocks.Load().parts.left(m.id)
	if m.standing == greeted || m.standing == guest {
		why := m.why
		if why == "" {
			why = "the connection closed"
		}
		call2(o.cfg.Hooks.PeerLeft, m.id, why)
	}
}

// advertise makes sure that identify tells peers of our protocols. Identify starts
// before it listens for changes of protocols, so one that falls in between is told to
// nobody until the next. Saying it again costs nothing: identify compares, and pushes to
// its peers only what is new.
func (o *Overlay) advertise(ctx context.Context) error {
	emitter, err := o.host.EventBus().Emitter(new(event.EvtLocalProtocolsUpdated))
	if err != nil {
		return fmt.Errorf("overlay: advertise protocols: %w", err)
	}
	defer emitter.Close()
	for _, pause := range []time.Duration{0, 50 * time.Millisecond, 500 * time.Millisecond, 5 * time.Second, 30 * time.Second} {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		if err := emitter.Emit(event.EvtLocalProtocolsUpdated{Added: o.protocols()}); err != nil {
			return fmt.Errorf("overlay: advertise protocols: %w", err)
		}
		if pause > 0 {
			o.advertised()
		}
	}
	<-ctx.Done()
	return nil
}
