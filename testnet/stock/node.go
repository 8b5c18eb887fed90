package stock

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/grapevine-p2p/grapevine/testnet/sim"
)

// witness is what a node tells of itself.
type witness interface {
	Made(kind sim.Kind, id sim.ID, size int)
	Valid(kind sim.Kind, id sim.ID)
	Copy(kind sim.Kind, id sim.ID)
	Count(c sim.Counts)
}

// topics have short names, since each copy of a message carries its topic's.
var topics = map[sim.Kind]string{sim.Tx: "tx", sim.Block: "block"}

// node is the library at one seat.
type node struct {
	profile Profile // constant, as all to ready
	seat    sim.Seat
	witness witness
	tracer  *tracer
	ready   chan struct{}

	// router and joined are set before ready is closed, then constant.
	router *pubsub.PubSub
	host   host.Host
	joined map[sim.Kind]*pubsub.Topic
}

var _ sim.Participant = (*node)(nil)

func newNode(p Profile, seat sim.Seat, w witness) *node {
	return &node{profile: p, seat: seat, witness: w, tracer: newTracer(seat.ID, w), ready: make(chan struct{})}
}

// attempts is how many hosts a seat gets until one is heard of by its peers.
const attempts = 3

// Failure is why a node gave up.
type Failure string

// Deaf means that no peer of a host opened a stream to it: they were not told
// that it speaks the protocol.
const Deaf Failure = "connected peers never announced their topics"

func (f Failure) Error() string { return "stock: " + string(f) }

// Run implements sim.Participant. It begins again with a new host where peers
// turn out not to hear of it, and gives up after a few of these.
func (n *node) Run(ctx context.Context) error {
	for try := 1; ; try++ {
		err := n.live(ctx)
		if !errors.Is(err, Deaf) || try == attempts {
			return err
		}
	}
}

// identifying is how long identify may take to begin to listen for protocols
// that are registered. Protocols that come earlier are never advertised: it
// takes stock of them first and subscribes to changes then. Time that stands
// still while anybody works makes any wait long enough.
const identifying = 100 * time.Millisecond

// live takes part with one host.
func (n *node) live(ctx context.Context) error {
	h, err := n.seat.NewHost()
	if err != nil {
		return err
	}
	defer h.Close()
	if !sim.Sleep(ctx, identifying) {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // before the host closes
	var group errgroup.Group
	n.host = h
	if n.router, err = pubsub.NewGossipSub(ctx, h, append(n.profile.options(n.seat.MaxMessage), pubsub.WithRawTracer(n.tracer))...); err != nil {
		return fmt.Errorf("make the router: %w", err)
	}
	n.joined = make(map[sim.Kind]*pubsub.Topic)
	subs := make(map[sim.Kind]*pubsub.Subscription)
	for kind := range topics {
		if subs[kind], err = n.join(kind); err != nil {
			return fmt.Errorf("join topic %s: %w", topics[kind], err)
		}
	}
	for kind, sub := range subs {
		group.Go(func() error { n.listen(ctx, kind, sub); return nil })
	}
	turns := make(chan struct{}, dialling)
	for _, near := range n.seat.Neighbours {
		group.Go(func() error { keep(ctx, h, near, turns); return nil })
	}
	group.Go(func() error {
		defer cancel()
		if err := n.heard(ctx); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
	return group.Wait()
}

// inbox is how many messages wait for the goroutine that tells the observer.
// They cost the network nothing; a small inbox would only lose observations.
const inbox = 4096

func (n *node) join(kind sim.Kind) (*pubsub.Subscription, error) {
	name := topics[kind]
	if n.seat.Silent || n.seat.VerifyCost > 0 {
		if err := n.router.RegisterTopicValidator(name, n.judge()); err != nil {
			return nil, err
		}
	}
	topic, err := n.router.Join(name)
	if err != nil {
		return nil, err
	}
	n.joined[kind] = topic
	return topic.Subscribe(pubsub.WithBufferSize(inbox))
}

// judge is what stands between receiving a message and passing it on at a seat
// whose time costs something, or that is silent. The library as it comes has
// nothing there.
func (n *node) judge() pubsub.ValidatorEx {
	var (
		mu   sync.Mutex
		busy time.Time // until when the core works on what came before
	)
	return func(ctx context.Context, from peer.ID, _ *pubsub.Message) pubsub.ValidationResult {
		if from == n.seat.ID {
			return pubsub.ValidationAccept
		}
		mu.Lock()
		if now := time.Now(); busy.Before(now) {
			busy = now
		}
		busy = busy.Add(n.seat.VerifyCost)
		until := busy
		mu.Unlock()
		if !sim.Sleep(ctx, time.Until(until)) || n.seat.Silent {
			return pubsub.ValidationIgnore
		}
		return pubsub.ValidationAccept
	}
}

// listen tells what the subscription hands out.
func (n *node) listen(ctx context.Context, kind sim.Kind, sub *pubsub.Subscription) {
	defer sub.Cancel()
	for {
		m, err := sub.Next(ctx)
		if err != nil {
			return
		}
		if m.ReceivedFrom != n.seat.ID {
			n.witness.Valid(kind, idOf(m))
		}
	}
}

// Ready implements sim.Participant.
func (n *node) Ready() <-chan struct{} { return n.ready }

// Publish implements sim.Participant.
func (n *node) Publish(ctx context.Context, m sim.Message) error {
	topic, ok := n.joined[m.Kind]
	if !ok {
		return fmt.Errorf("publish a %s: no topic carries it", m.Kind)
	}
	n.witness.Made(m.Kind, m.ID, len(m.Data))
	if err := topic.Publish(ctx, m.Data); err != nil {
		return fmt.Errorf("publish a %s: %w", m.Kind, err)
	}
	return nil
}

// MeshPeers implements sim.Participant.
func (n *node) MeshPeers(kind sim.Kind) []peer.ID { return n.tracer.mesh(topics[kind]) }

// Peers implements sim.Participant: those that a stream leads to, and that
// announced their topics on a stream of their own.
func (n *node) Peers() []peer.ID { return n.joined[sim.Tx].ListPeers() }
