package overlay_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/wire"
)

// puppet is a greeted host whose part in the transaction mesh a test plays by hand.
type puppet struct {
	host.Host
	t     *testing.T
	topic string
	out   network.Stream
	deaf  atomic.Bool // what comes is left where it is

	mu     sync.Mutex // guards what follows
	asked  map[string]int
	heard  map[string]bool // ids that were announced
	spared map[string]bool // and those that were forbidden
	got    int             // messages
	grafts int             // that came
	backs  []time.Duration // back-offs of the PRUNEs that came
}

// newPuppet makes n talk to a puppet, which is not on the topic before it says so.
func newPuppet(t *testing.T, n *node) *puppet {
	t.Helper()
	return newPuppetOn(t, newHost(t), n, meshTx)
}

// meshedPuppet is a puppet in n's mesh of its topic.
func meshedPuppet(t *testing.T, n *node) *puppet {
	t.Helper()
	p := newPuppet(t, n)
	p.subscribe(true, p.topic)
	eventually(t, func() bool { return n.peer(p.ID()).InTxMesh }, "grafted")
	return p
}

// newPuppetOn makes n talk to a puppet on that host, by that protocol.
func newPuppetOn(t *testing.T, h host.Host, n *node, speaks protocol.ID) *puppet {
	t.Helper()
	p := &puppet{
		Host: h, t: t, topic: overlay.TxTopic(n.g.ID()),
		asked: make(map[string]int), heard: make(map[string]bool), spared: make(map[string]bool),
	}
	t.Cleanup(func() { p.deaf.Store(false) }) // or its listener never ends
	p.SetStreamHandler(speaks, func(s network.Stream) { p.listen(s) })
	greet(t, p.Host, n)
	p.out = gossipStream(t, p.Host, n)
	return p
}

func (p *puppet) listen(s network.Stream) {
	in := bufio.NewReader(s)
	for {
		for p.deaf.Load() {
			time.Sleep(pulse)
		}
		size, err := binary.ReadUvarint(in)
		if err != nil {
			return
		}
		raw := make([]byte, size)
		rpc := new(pb.RPC)
		if _, err := io.ReadFull(in, raw); err != nil || proto.Unmarshal(raw, rpc) != nil {
			return
		}
		p.mu.Lock()
		p.got += len(rpc.GetPublish())
		p.grafts += len(rpc.GetControl().GetGraft())
		for _, spare := range rpc.GetControl().GetIdontwant() {
			for _, id := range spare.GetMessageIDs() {
				p.spared[id] = true
			}
		}
		for _, prune := range rpc.GetControl().GetPrune() {
			p.backs = append(p.backs, time.Duration(prune.GetBackoff())*time.Second)
		}
		for _, have := range rpc.GetControl().GetIhave() {
			for _, id := range have.GetMessageIDs() {
				p.heard[id] = true
			}
		}
		for _, want := range rpc.GetControl().GetIwant() {
			for _, id := range want.GetMessageIDs() {
				p.asked[id]++
			}
		}
		p.mu.Unlock()
	}
}

// send writes an RPC; it says whether the stream still takes one.
func (p *puppet) send(rpc *pb.RPC) bool {
	raw, err := proto.Marshal(rpc)
	require.NoError(p.t, err)
	_, err = p.out.Write(frame(raw))
	return err == nil
}

func (p *puppet) announce(ids ...string) bool {
	return p.send(&pb.RPC{Control: &pb.ControlMessage{Ihave: []*pb.ControlIHave{{TopicID: &p.topic, MessageIDs: ids}}}})
}

func (p *puppet) want(ids ...string) bool {
	return p.send(&pb.RPC{Control: &pb.ControlMessage{Iwant: []*pb.ControlIWant{{MessageIDs: ids}}}})
}

func (p *puppet) forbid(ids ...string) bool {
	return p.send(&pb.RPC{Control: &pb.ControlMessage{Idontwant: []*pb.ControlIDontWant{{MessageIDs: ids}}}})
}

func (p *puppet) prune(backoff uint64, peers ...*pb.PeerInfo) bool {
	return p.send(&pb.RPC{Control: &pb.ControlMessage{Prune: []*pb.ControlPrune{{TopicID: &p.topic, Backoff: &backoff, Peers: peers}}}})
}

func (p *puppet) publish(data []byte) bool {
	return p.send(&pb.RPC{Publish: []*pb.Message{{Topic: &p.topic, Data: data}}})
}

func (p *puppet) askedFor(id string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[id]
}

func (p *puppet) hears(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard[id]
}

func (p *puppet) spares(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.spared[id]
}

func (p *puppet) grafted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.grafts
}

func (p *puppet) backoffs() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.backs)
}

func (p *puppet) received() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got
}

func idOf(g *wire.Genesis, tx *wire.Transaction) string {
	return overlay.MessageID(g.ID(), overlay.TxTopic(g.ID()), tx.Bytes())
}

// R87: a large message that many announce is sent once. The next is asked only where the
// first does not send it.
func TestAnnouncedMessageIsPulledOnce(t *testing.T) {
	g, c := testGenesis("pulled once"), newClock()
	n := start(t, g, c)
	var all []*puppet
	for range 4 {
		all = append(all, newPuppet(t, n))
	}
	tx := transfer(g, "wallet 0", 0, func(b *wire.TxBody) { b.Payload, b.Fee = make([]byte, 120<<10), 1<<20 })
	id := idOf(g, tx)
	asked := func(id string) (by []*puppet) {
		for _, p := range all {
			if p.askedFor(id) > 0 {
				by = append(by, p)
			}
		}
		return by
	}
	for _, p := range all {
		p.announce(id)
	}
	eventually(t, func() bool { return len(asked(id)) == 1 }, "one is asked")
	asked(id)[0].publish(tx.Bytes())
	eventually(t, func() bool { return n.chain.has(tx.ID()) }, "it comes")
	never(t, func() bool { return len(asked(id)) > 1 }, 3*overlay.DefaultLimits().PullPatience, pulse)

	// Who announces and sends nothing is not waited for.
	other := transfer(g, "wallet 1", 0)
	id = idOf(g, other)
	for _, p := range all {
		p.announce(id)
	}
	eventually(t, func() bool { return len(asked(id)) == 2 }, "then another")
	eventually(t, func() bool { return len(asked(id)) == len(all) }, "then all, one after the other")
	for _, p := range all {
		require.Equal(t, 1, p.askedFor(id))
	}
	require.Zero(t, n.seen.blamed())
}

// R88: what a peer asks for has a budget of bytes of its own and one of all, and who asks
// for the same again and again, or for what is not there, is cut.
func TestP7WishesAreBounded(t *testing.T) {
	g, c := testGenesis("wishes"), newClock()
	const size, perPeer, inAll = 100 << 10, 1 << 20, 2 << 20
	n := start(t, g, c, func(c *overlay.Config) {
		c.Limits.PulledBurst, c.Limits.PulledPerSecond = perPeer, 1
		c.Limits.PulledInAllBurst, c.Limits.PulledInAllPerSecond = inAll, 1
	})
	listener := start(t, g, c)
	listener.join(n)
	meshed(t, n, listener)
	var all []*puppet
	for range 4 {
		all = append(all, newPuppet(t, n))
	}
	var ids []string
	for i := range uint64(20) {
		tx := transfer(g, fmt.Sprint("wallet ", i%8), i/8, func(b *wire.TxBody) { b.Payload, b.Fee = make([]byte, size), 1<<20 })
		ids = append(ids, idOf(g, tx))
		n.submit(tx)
	}
	eventually(t, func() bool { return listener.chain.pooled() == len(ids) }, "published")
	for _, p := range all {
		p.want(ids...)
	}
	total := func() (sum int) {
		for _, p := range all {
			sum += p.received()
		}
		return sum
	}
	eventually(t, func() bool { return total() >= inAll/size-2 }, "as much as there is")
	never(t, func() bool { return total() > inAll/size }, time.Second, pulse)
	for _, p := range all {
		require.LessOrEqual(t, p.received(), perPeer/size)
	}
	require.Zero(t, n.seen.blamed())

	spammer := all[0]
	began := time.Now()
	for !n.Banned(spammer.ID()) && spammer.want(ids...) {
		require.Less(t, time.Since(began), 5*time.Second)
	}
	eventually(t, func() bool { return !connected(n.host, spammer) }, "cut")
}

// R86, R88: who asks for ten thousand ids a second that nobody has is cut.
func TestP8WishesForNothingAreCut(t *testing.T) {
	g, c := testGenesis("nothing"), newClock()
	n := start(t, g, c)
	p := newPuppet(t, n)
	began := time.Now()
	for i := 0; !n.Banned(p.ID()); i++ {
		ids := make([]string, 1000)
		for j := range ids {
			ids[j] = fmt.Sprintf("%020d", i*len(ids)+j)
		}
		if !p.want(ids...) {
			break
		}
		require.Less(t, time.Since(began), 5*time.Second)
	}
	eventually(t, func() bool { return n.Banned(p.ID()) && !connected(n.host, p) }, "cut")
	require.Equal(t, []string{"over_budget"}, n.seen.cut)
}

// R86: what is of no topic of ours goes no further.
func TestMessagesOfOtherTopicsAreLeftOut(t *testing.T) {
	g, c := testGenesis("topics"), newClock()
	n := start(t, g, c)
	p := newPuppet(t, n)
	messages, _ := overlay.Inspect(n.Overlay, p.ID(), true, []*pb.Message{{Topic: proto.String("other")}, {Topic: &p.topic}}, nil)
	require.Len(t, messages, 1)
	require.Equal(t, p.topic, messages[0].GetTopic())
	require.Zero(t, n.seen.blamed())
}
