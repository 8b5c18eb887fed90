package overlay

import (
	"context"
	"slices"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	"github.com/grapevine-p2p/grapevine/wire"
)

// inspector looks at every RPC of one instance in pubsub's event loop, after decoding. It
// cuts out what we would obey to our harm, and asks one peer at a time for what several
// announce. Bounds of size and number are none of its business: the streams kept them.
type inspector struct {
	network  wire.NetworkID // constant
	topic    string
	shortest uint64 // seconds of back-off that a peer may impose,
	longest  uint64 // and those
	meshed   func(peer.ID) bool
	budget   func(peer.ID) *budget // nil for a peer that is gone
	uplink   *rate.Limiter         // bytes that all peers together are sent because they asked
	units    func(b *budget) *admission
	exceeds  func(from peer.ID, a *admission, units int)
	heard    func(ids []string, from peer.ID) // what a peer has; may be nil
	jammed   func() bool                      // our lines are full: what is announced comes otherwise, or too late; may be nil
	pulls    *pulls
	asking   chan struct{} // capacity 1: a question was opened

	mu      sync.Mutex // guards what follows
	streams map[peer.ID]*queuedStream
}

// unitsPerRepeat is what it weighs to ask for one message more often than it was announced.
const unitsPerRepeat = 5

func newInspector(o *Overlay, topic string, meshed func(peer.ID) bool, units func(*budget) *admission) *inspector {
	l, g := o.cfg.Limits, o.cfg.Gossip
	return &inspector{
		network: o.id, topic: topic, meshed: meshed,
		shortest: uint64(g.PruneBackoff / time.Second), longest: uint64(l.MaxPruneBackoff / time.Second),
		budget: func(p peer.ID) *budget {
			if m := o.roster.get(p); m != nil {
				return m.budget
			}
			return nil
		},
		uplink: rate.NewLimiter(rate.Limit(l.PulledInAllPerSecond), l.PulledInAllBurst),
		units:  units,
		exceeds: func(p peer.ID, a *admission, n int) {
			if m := o.roster.get(p); m != nil {
				charges, cut := a.exceed(time.Now(), n)
				o.penalise(m, charges, cut)
			}
		},
		// One heartbeat longer than the router keeps what it can send.
		pulls:   newPulls(l.PullPatience, time.Duration(g.HistoryLength+1)*g.Heartbeat, l.Pulls),
		asking:  make(chan struct{}, 1),
		streams: make(map[peer.ID]*queuedStream),
	}
}

// inspect changes one RPC. It refuses none: an RPC may hold subscriptions, which come once.
func (i *inspector) inspect(from peer.ID, rpc *pubsub.RPC) error {
	rpc.Publish = slices.DeleteFunc(rpc.GetPublish(), func(m *pb.Message) bool { return m.GetTopic() != i.topic })
	c := rpc.GetControl()
	if c == nil {
		return nil
	}
	c.Prune = i.prunes(from, c.GetPrune())
	c.Ihave = i.haves(from, c.GetIhave())
	c.Iwant = i.wants(from, c.GetIwant())
	for _, d := range c.GetIdontwant() {
		d.MessageIDs = wellFormed(d.GetMessageIDs())
	}
	return nil
}

// published notes a message of our own.
func (i *inspector) published(raw []byte) {
	i.pulls.arrived(time.Now(), "", MessageID(i.network, i.topic, raw), len(raw))
}

// prunes are those that we obey. The router would note the back-off even of a peer that is
// in no mesh of ours, and long after it is gone; peers are exchanged elsewhere, signed. Who
// leaves our mesh stays out of it for as long as whoever we send away: it could come and go
// otherwise, and be in it most of the time without ever passing anything on.
func (i *inspector) prunes(from peer.ID, prunes []*pb.ControlPrune) []*pb.ControlPrune {
	if len(prunes) == 0 || !i.meshed(from) {
		return nil
	}
	for _, p := range prunes {
		p.Peers = nil
		if b := p.GetBackoff(); b > i.longest {
			p.Backoff = &i.longest
		} else if b != 0 && b < i.shortest { // with none it is the router's
			p.Backoff = &i.shortest
		}
	}
	return prunes
}

// haves are the announcements of what is to be asked for now.
func (i *inspector) haves(from peer.ID, haves []*pb.ControlIHave) []*pb.ControlIHave {
	if len(haves) == 0 { // as in most RPCs: the question below walks all links
		return nil
	}
	asked, jammed := false, i.jammed != nil && i.jammed()
	for _, h := range haves {
		if h.GetTopicID() == i.topic {
			ids := wellFormed(h.GetMessageIDs())
			call2(i.heard, ids, from)
			if jammed {
				continue
			}
			h.MessageIDs = i.pulls.announced(time.Now(), from, ids)
			asked = asked || len(h.MessageIDs) > 0
		}
	}
	if !asked {
		return nil
	}
	select {
	case i.asking <- struct{}{}:
	default:
	}
	return haves
}

// wants are the wishes that we grant. What is unknown is past, or was never announced.
func (i *inspector) wants(from peer.ID, wants []*pb.ControlIWant) []*pb.ControlIWant {
	b := i.budget(from)
	if len(wants) == 0 || b == nil {
		return nil
	}
	now, excess := time.Now(), 0
	for _, want := range wants {
		w := i.pulls.wanted(from, wellFormed(want.GetMessageIDs()), func(size int) bool {
			return b.pulled.TokensAt(now) >= float64(size) && i.uplink.AllowN(now, size) && b.pulled.AllowN(now, size)
		})
		want.MessageIDs = w.known
		excess += w.repeats*unitsPerRepeat + w.unknown - take(b.unknown, now, w.unknown)
	}
	i.exceeds(from, i.units(b), excess)
	return wants
}

// wellFormed leaves out ids that no message has.
func wellFormed(ids []string) []string {
	return slices.DeleteFunc(ids, func(id string) bool { return len(id) != messageIDSize })
}

// run asks the next peer for what another did not send, until ctx ends.
func (i *inspector) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-i.asking:
		case <-timer.C:
		}
		next, wait := i.pulls.overdue(time.Now())
		for p, ids := range next {
			i.announceAgain(p, ids)
		}
		if wait > 0 {
			timer.Reset(wait)
		}
	}
}

// announceAgain makes the router ask a peer, as if that had announced the ids just now.
func (i *inspector) announceAgain(p peer.ID, ids []string) {
	i.mu.Lock()
	s := i.streams[p]
	i.mu.Unlock()
	if s == nil {
		return // the next is asked when it would have been its turn
	}
	raw, err := proto.Marshal(&pb.RPC{Control: &pb.ControlMessage{Ihave: []*pb.ControlIHave{{TopicID: &i.topic, MessageIDs: ids}}}})
	if err == nil {
		s.inject(raw)
	}
}

// attach takes note of the stream on which a peer talks to the instance.
func (i *inspector) attach(s *queuedStream) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.streams[s.peer] = s
}

// detach forgets it, unless another has taken its place.
func (i *inspector) detach(s *queuedStream) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.streams[s.peer] == s {
		delete(i.streams, s.peer)
		i.pulls.forget(s.peer)
	}
}
